import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { readHello } from "../../../appliance/egress/clientHello.ts";
import { helloFor } from "./hello.ts";

/** The same handshake in records of so many bytes. */
function inRecords(hello: Buffer, bytes: number): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += bytes) {
    const piece = message.subarray(at, at + bytes);
    records.push(Buffer.from([22, 3, 1, piece.length >> 8, piece.length & 255]), piece);
  }
  return Buffer.concat(records);
}

/** A hello with another extension at its end. */
function withExtension(hello: Buffer, type: number, body = Buffer.alloc(0)): Buffer {
  const copy = Buffer.from(hello);
  const sessionAt = 5 + 4 + 34;
  const suitesAt = sessionAt + 1 + (copy[sessionAt] ?? 0);
  const methodsAt = suitesAt + 2 + copy.readUInt16BE(suitesAt);
  const extensionsAt = methodsAt + 1 + (copy[methodsAt] ?? 0);
  const more = Buffer.alloc(4 + body.length);
  more.writeUInt16BE(type, 0);
  more.writeUInt16BE(body.length, 2);
  body.copy(more, 4);
  copy.writeUInt16BE(copy.readUInt16BE(extensionsAt) + more.length, extensionsAt);
  copy.writeUIntBE(copy.readUIntBE(6, 3) + more.length, 6, 3);
  copy.writeUInt16BE(copy.readUInt16BE(3) + more.length, 3);
  return Buffer.concat([copy, more]);
}

test("the name in a hello is read, however it is cut into records and packets", async () => {
  const hello = await helloFor("api.github.com");
  const expected = { type: "hello", name: "api.github.com", isHidden: false };
  assert.deepEqual(readHello(hello), expected);
  for (const size of [1, 3, 64, 500]) assert.deepEqual(readHello(inRecords(hello, size)), expected);
  for (let length = 0; length < hello.length; length++) assert.equal(readHello(hello.subarray(0, length)).type, "more");
});

test("a hello without a name has none", async () => {
  assert.deepEqual(readHello(await helloFor(undefined)), { type: "hello", name: undefined, isHidden: false });
});

test("a hidden hello is known as such, and what is said twice is refused", async () => {
  const hello = await helloFor("a.example");
  assert.deepEqual(readHello(withExtension(hello, 0xfe0d)), { type: "hello", name: "a.example", isHidden: true });
  assert.equal(readHello(withExtension(hello, 0, Buffer.from([0, 4, 0, 0, 1, 98]))).type, "bad");
});

test("what is no hello is bad, and nothing makes the reader fail", async () => {
  assert.equal(readHello(Buffer.from("GET / HTTP/1.1\r\n")).type, "bad");
  const hello = await helloFor("a.example");
  for (let n = 0; n < 3000; n++) {
    const broken = Buffer.from(hello);
    for (let times = 0; times <= n % 4; times++) broken[randomBytes(2).readUInt16BE() % broken.length] = randomBytes(1)[0] ?? 0;
    assert.ok(["hello", "more", "bad"].includes(readHello(broken).type));
    assert.ok(["more", "bad"].includes(readHello(Buffer.concat([Buffer.from([22, 3, 1]), randomBytes(n % 300)])).type));
  }
});
