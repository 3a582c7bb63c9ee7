/** Where a sandbox may connect to: exactly what was named, and only addresses of the public internet unless an address was named itself. */
import { BlockList, isIP, isIPv4, isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import { domainToASCII } from "node:url";
import { NikaError } from "../../convex/model/error.ts";

export type Place = { readonly host: string; readonly port: number };

/** What is not the public internet. Of IPv6 only 2000::/3 is, so there the exceptions inside it are listed. */
const special = new BlockList();
for (const [net, bits] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.31.196.0", 24],
  ["192.52.193.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["192.175.48.0", 24],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
] as const)
  special.addSubnet(net, bits, "ipv4");
for (const [net, bits] of [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
] as const)
  special.addSubnet(net, bits, "ipv6");
const global6 = new BlockList();
global6.addSubnet("2000::", 3, "ipv6");

/** Whether an address is one of the public internet and not this machine's own. */
export function isPublic(address: string): boolean {
  if (isIPv4(address)) return !special.check(address, "ipv4") && !isOwn(address);
  return isIPv6(address) && global6.check(address, "ipv6") && !special.check(address, "ipv6") && !isOwn(address);
}

/** A machine may have a public address, and services behind it that trust whoever is on the machine. */
function isOwn(address: string): boolean {
  const own = new BlockList();
  for (const each of Object.values(networkInterfaces()).flat())
    if (each && isIP(each.address)) own.addAddress(each.address, each.family === "IPv6" ? "ipv6" : "ipv4");
  return own.check(address, isIPv4(address) ? "ipv4" : "ipv6");
}

/** Reads `host:port` as a program asks for it; undefined for every form of address but the plain ones. */
export function toPlace(words: string): Place | undefined {
  const found = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9_.-]+)):(\d{1,5})$/i.exec(words);
  const host = (found?.[1] ?? found?.[2])?.toLowerCase();
  const port = Number(found?.[3]);
  if (!host || !(port >= 1 && port <= 65_535)) return undefined;
  if (found?.[1] !== undefined) return isIPv6(host) ? { host: plain6(host), port } : undefined;
  if (isIPv4(host)) return { host, port };
  // 2130706433, 0x7f.1 and 0177.0.0.1 are addresses to whoever resolves names, and no names: those end in a word.
  const last = host.split(".").at(-1) ?? "";
  if (!/^[a-z]/.test(last) || host.length > 253) return undefined;
  return host.split(".").every((label) => label.length >= 1 && label.length <= 63) ? { host, port } : undefined;
}

/** One way of writing an IPv6 address. */
const plain6 = (address: string): string => new URL(`http://[${address}]`).hostname.slice(1, -1);

export const wordsOf = ({ host, port }: Place): string => `${host.includes(":") ? `[${host}]` : host}:${port}`;

/** What was allowed, as it was written down. Fails with `invalid` for what is no plain host and port. */
export function toAllowed(entries: readonly string[]): ReadonlySet<string> {
  return new Set(
    entries.map((entry) => {
      const [, host = "", port = ""] = /^(.*):(\d+)$/.exec(entry) ?? [];
      const place = toPlace(host.startsWith("[") ? entry : `${domainToASCII(host)}:${port}`);
      // Read by the same rule as what programs ask for, so that nothing can be allowed that no program could ask for.
      if (!place || (isIPv4(place.host) && place.host !== host))
        throw new NikaError("invalid", `"${entry}" does not name one host and port, such as api.github.com:443.`);
      return wordsOf(place);
    }),
  );
}
