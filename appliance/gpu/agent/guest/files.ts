/** Files by hash, as they are sent and fetched. */
import { createHash } from "node:crypto";
import { createReadStream, readdirSync, statSync } from "node:fs";
import { join, resolve, sep } from "node:path";
import type { Shipped } from "../../../../convex/model/agent.ts";
import { Refused } from "./call.ts";

/** Side by side. */
const atOnce = 4;

export const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

export async function hashOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(file)) hash.update(piece as Buffer);
  return hash.digest("hex");
}

/** Fails for a path that would lead out of the folder. */
export function within(root: string, path: string): string {
  const to = resolve(root, path);
  if (!to.startsWith(root + sep)) throw new Refused(`"${path}" leads out of its folder`);
  return to;
}

/** Every plain file under `name`, with its hash. Links are not followed. */
export async function shippedOf(root: string, name: string): Promise<Shipped[]> {
  const found: Shipped[] = [];
  const look = async (path: string): Promise<void> => {
    const full = join(root, path);
    const entries = readdirSync(full, { withFileTypes: true });
    for (const entry of entries.toSorted((one, other) => (one.name < other.name ? -1 : 1))) {
      const inner = path === "" ? entry.name : `${path}/${entry.name}`;
      if (entry.isDirectory()) await look(inner);
      else if (entry.isFile()) await add(inner);
    }
  };
  const add = async (path: string): Promise<void> => {
    const { size, mode } = statSync(join(root, path));
    const sha256 = await hashOf(join(root, path));
    found.push({ path, sha256, sizeBytes: size, ...((mode & 0o100) !== 0 && { isProgram: true }) });
  };
  if (name === "" || statSync(join(root, name)).isDirectory()) await look(name);
  else await add(name);
  return found;
}

/** When one fails no other is begun, and those under way are waited for: nothing is written any more once this is over. */
export async function eachOf<T>(list: readonly T[], run: (one: T) => Promise<void>): Promise<void> {
  const rest = [...list];
  const one = async (): Promise<void> => {
    for (let next = rest.shift(); next !== undefined; next = rest.shift()) {
      await run(next).catch((error: unknown) => {
        rest.length = 0;
        throw error;
      });
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: atOnce }, one));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}
