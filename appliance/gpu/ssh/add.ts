/** Takes a machine of the owner's among those that work is sent to: signed in to once, looked at, and kept with its key. */
import { availableFrom, type Facts } from "./facts.ts";
import { readHosts, sshKeyIn, toAddress, writeHosts, type Host } from "./hosts.ts";
import { openSession } from "./session.ts";
import { isNikaError, NikaError } from "../../../convex/model/error.ts";
import type { Added, HostWish } from "../routes.ts";

/** Without an agreed fingerprint it only says which one answers; with it, it is kept. Fails with `unavailable` when nothing answers. */
export async function addHost(dataDir: string, { address, name, slots, fingerprint }: HostWish): Promise<Added> {
  const at = toAddress(address);
  const { publicKey, privateKey } = await sshKeyIn(dataDir);
  const called = name ?? at.host;
  if (!/^[a-zA-Z0-9][\w.-]{0,62}$/.test(called)) throw new NikaError("invalid", `"${called}" cannot be its name.`);
  let facts: Facts;
  let seen: string;
  try {
    const session = await openSession({ ...at, privateKey, ...(fingerprint !== undefined && { fingerprint }) });
    seen = session.fingerprint;
    try {
      facts = await availableFrom(session);
    } finally {
      session.end();
    }
  } catch (error) {
    if (!isNikaError(error) || error.code !== "denied") throw error;
    return { publicKey, says: error.message, isAdded: false };
  }
  if (fingerprint === undefined) return { publicKey, fingerprint: seen, says: facts.says, isAdded: false };
  const { says, ...found } = facts;
  const host: Host = { name: called, ...at, fingerprint: seen, slots, ...found };
  writeHosts(dataDir, [...readHosts(dataDir).filter((one) => one.name !== called), host]);
  return { publicKey, fingerprint: seen, says, isAdded: true };
}
