import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import { test } from "node:test";
import { isPublic, toAllowed, toPlace, wordsOf } from "../../../appliance/egress/addresses.ts";
import { isNikaError } from "../../../convex/model/error.ts";

test("addresses of the public internet are public, all others are not", () => {
  for (const address of ["1.1.1.1", "140.82.121.6", "223.255.255.1", "2606:4700:4700::1111", "2a00:1450:4007::1"])
    assert.ok(isPublic(address), address);
  for (const address of [
    ..."0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.127.255.255 127.0.0.1 127.9.9.9 169.254.169.254 172.16.0.1 172.31.9.9".split(" "),
    ..."192.0.0.8 192.0.2.1 192.168.1.1 198.18.0.1 198.51.100.7 203.0.113.9 224.0.0.1 240.0.0.1 255.255.255.255".split(" "),
    ...":: ::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:1.1.1.1 ::7f00:1 64:ff9b::7f00:1 fc00::1 fd00:ec2::254 fe80::1 fec0::1".split(
      " ",
    ),
    ..."ff02::1 2001::1 2001:db8::1 2002:7f00:1::1 3fff::1 100::1 nonsense".split(" "),
  ])
    assert.ok(!isPublic(address), address);
});

test("the machine's own addresses are not public, whatever they are", () => {
  for (const { address } of Object.values(networkInterfaces()).flatMap((all) => all ?? []))
    assert.ok(!isPublic(address), address);
});

test("places are read only in their plain form", () => {
  assert.deepEqual(toPlace("API.github.com:443"), { host: "api.github.com", port: 443 });
  assert.deepEqual(toPlace("10.0.0.1:80"), { host: "10.0.0.1", port: 80 });
  assert.deepEqual(toPlace("[::1]:80"), { host: "::1", port: 80 });
  assert.deepEqual(toPlace("[0:0::0:1]:80"), { host: "::1", port: 80 });
  for (const words of [
    ..."2130706433:80 0x7f000001:80 0x7f.1:80 0177.0.0.1:80 127.1:80 127.0.0.1.:80 a.com.:443 a.com a.com: a.com:0 a.com:65536".split(
      " ",
    ),
    ..."a..com:443 .com:443 a.com:443:443 ::1:80 [a.com]:443 [::1 u@a.com:443 a.com/x:443 a.com:4a3 a%2ecom:443 1.2.3.256:80".split(
      " ",
    ),
    "a b:443",
    "a.com:443\r\nx: y",
    "аpple.com:443",
    "",
  ])
    assert.equal(toPlace(words), undefined, words);
});

test("only single hosts and ports can be allowed", () => {
  assert.deepEqual(
    [...toAllowed(["API.github.com:443", "10.0.0.1:80", "[FE80:0::1]:8080", "bücher.example:443"])],
    ["api.github.com:443", "10.0.0.1:80", "[fe80::1]:8080", "xn--bcher-kva.example:443"],
  );
  assert.equal(wordsOf({ host: "::1", port: 1 }), "[::1]:1");
  for (const entry of [
    "*.a.com:443",
    "a.com",
    "a.com:*",
    "https://a.com:443",
    "2130706433:80",
    "0x7f.1:80",
    "a.com:443/x",
    "",
    ":443",
    "*:443",
  ])
    assert.throws(
      () => toAllowed([entry]),
      (error) => isNikaError(error) && error.code === "invalid",
      entry,
    );
});
