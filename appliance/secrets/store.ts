/**
 * Secrets at rest: one age file each under DATA/secrets/<tenant>. What a file is for stands inside it too, so that two files cannot be
 * swapped. Who read or changed what is appended to an audit file; values are in neither name, log, state nor command line.
 */
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { NikaError } from "../../convex/model/error.ts";
import type { SecretInfo, Secrets } from "../../functions/ports/secrets.ts";
import { openRing, type Recovery, type RingOptions } from "./ring.ts";
import { syncFolder, writeWhole } from "./whole.ts";

export type SecretStore = Secrets & {
  /** The recovery key: whether the owner has it, and the key itself until then. */
  recovery(): Promise<Recovery>;
  /** The owner has it: from now on it is nowhere on this machine. */
  keepRecovery(by: string): void;
  /** Makes a new recovery key; the old one opens nothing written from now on, and all is written again. */
  renewRecovery(by: string): Promise<void>;
  /** Makes a new tenant key and encrypts everything again. A crash in the middle is finished at the next start. */
  rekey(by: string): Promise<number>;
  /** Takes over secrets that only the recovery key opens, after the disk moved to a machine that lost its keys. */
  recover(identity: string, by: string): Promise<number>;
};

export type SecretStoreOptions = RingOptions & {
  readonly tenantId: string;
  readonly now: () => number;
  /** Told after each change, with what there is then. */
  readonly changed?: (secrets: readonly SecretInfo[]) => void;
};

/** A file holds this; the names in it are checked against where it was found. */
type Content = { readonly v: 1; readonly tenant: string; readonly name: string; readonly setAt: number; readonly value: string };
type Action = "read" | "set" | "removed" | "renewed" | "refused" | "rekeyed" | "recovered" | "recovery kept" | "recovery renewed";

const nameRule = /^[A-Za-z][A-Za-z0-9._-]{0,63}$/u;
const valueBytesMax = 48 * 1024;
const ending = ".age";

/** Opens the secrets of one tenant; finishes a change of keys that a crash interrupted. */
export async function openSecrets(options: SecretStoreOptions): Promise<SecretStore> {
  const { dataDir, tenantId, now, changed } = options;
  const ring = openRing(options);
  const root = join(dataDir, "secrets");
  const dir = join(root, tenantId);
  const pathOf = (name: string): string => join(dir, name + ending);
  const audit = (action: Action, name: string | undefined, by: string): void => {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const line = { at: new Date(now()).toISOString(), tenant: tenantId, action, ...(name !== undefined && { name }), by };
    appendFileSync(join(root, "audit.jsonl"), `${JSON.stringify(line)}\n`, { mode: 0o600 });
  };
  const names = (): string[] =>
    existsSync(dir)
      ? readdirSync(dir)
          .filter((file) => file.endsWith(ending))
          .map((file) => file.slice(0, -ending.length))
          .toSorted()
      : [];
  const list = (): SecretInfo[] => names().map((name) => ({ name, setAt: Math.round(statSync(pathOf(name)).mtimeMs) }));
  const read = async (name: string, identity?: string): Promise<Content> => {
    const content = JSON.parse(await ring.decrypt(readFileSync(pathOf(name)), identity)) as Content;
    if (content.v === 1 && content.tenant === tenantId && content.name === name) return content;
    throw new NikaError("unreadable", `The file of the secret ${name} is that of another; set it again.`);
  };
  /** Read back before it takes the old one's place: a secret that cannot be opened must not replace one that can. */
  const write = async (content: Content): Promise<void> => {
    const bytes = await ring.encrypt(JSON.stringify(content));
    if ((await ring.decrypt(bytes)) !== JSON.stringify(content))
      throw new NikaError("bug", "A secret could not be read back; the old one stays.");
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    writeWhole(pathOf(content.name), bytes, dir);
    // Encrypting again is not setting again.
    utimesSync(pathOf(content.name), content.setAt / 1000, content.setAt / 1000);
  };
  const writeAll = async (): Promise<number> => {
    const all = names();
    for (const name of all) await write(await read(name));
    return all.length;
  };

  const renewals = new Map<string, Promise<string>>();
  /** Changes are made one after the other: each reads what the one before wrote. */
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(change: () => Promise<T>): Promise<T> => {
    const turn = last.then(change);
    last = turn.catch(() => undefined);
    return turn;
  };
  const rekey = async (): Promise<number> => {
    await ring.beginRekey();
    const count = await writeAll();
    ring.endRekey();
    return count;
  };
  if (ring.isRekeying()) await rekey();

  return {
    async find(name, reader) {
      if (!nameRule.test(name) || !existsSync(pathOf(name))) return undefined;
      try {
        const { value } = await read(name);
        audit("read", name, reader);
        return value;
      } catch (error) {
        audit("refused", name, reader);
        throw error;
      }
    },
    set: (name, value, by) =>
      inTurn(async () => {
        mustBeName(name, names());
        mustBeValue(value);
        await write({ v: 1, tenant: tenantId, name, setAt: now(), value });
        audit("set", name, by);
        changed?.(list());
      }),
    remove: (name, by) =>
      inTurn(async () => {
        if (!nameRule.test(name) || !existsSync(pathOf(name))) return;
        rmSync(pathOf(name));
        syncFolder(dir);
        audit("removed", name, by);
        changed?.(list());
      }),
    renew(name, renew, by) {
      const under = renewals.get(name);
      if (under) return under;
      const renewal = inTurn(async () => {
        if (!nameRule.test(name) || !existsSync(pathOf(name)))
          throw new NikaError("missing", `There is no secret ${name}; set it with \`nika secrets set ${name}\`.`);
        const value = await renew((await read(name)).value);
        mustBeValue(value);
        await write({ v: 1, tenant: tenantId, name, setAt: now(), value });
        audit("renewed", name, by);
        changed?.(list());
        return value;
      }).finally(() => renewals.delete(name));
      renewals.set(name, renewal);
      return renewal;
    },
    list: () => Promise.resolve(list()),
    recovery: () => inTurn(() => ring.recovery()),
    keepRecovery(by) {
      ring.forgetRecovery();
      audit("recovery kept", undefined, by);
    },
    renewRecovery: (by) =>
      inTurn(async () => {
        await ring.renewRecovery();
        await writeAll();
        audit("recovery renewed", undefined, by);
      }),
    rekey: (by) =>
      inTurn(async () => {
        const count = await rekey();
        audit("rekeyed", undefined, by);
        return count;
      }),
    recover: (identity, by) =>
      inTurn(async () => {
        if (!/^AGE-SECRET-KEY-1[0-9A-Z]+$/u.test(identity))
          throw new NikaError("invalid", "A recovery key begins with AGE-SECRET-KEY-1; check what you typed.");
        const all = names();
        if (all.length === 0)
          throw new NikaError("missing", "There are no secrets here to recover; put DATA/secrets back first.");
        const contents = await Promise.all(all.map((name) => read(name, identity)));
        await ring.adoptRecovery(identity);
        for (const content of contents) await write(content);
        const count = contents.length;
        audit("recovered", undefined, by);
        changed?.(list());
        return count;
      }),
  };
}

function mustBeName(name: string, known: readonly string[]): void {
  if (!nameRule.test(name))
    throw new NikaError("invalid", "A secret's name is a letter, then up to 63 letters, digits, dots, hyphens or underscores.");
  // Some disks do not tell upper from lower case: two such files would be one.
  const alike = known.find((other) => other !== name && other.toLowerCase() === name.toLowerCase());
  if (alike !== undefined)
    throw new NikaError("conflict", `There is a secret ${alike} already; use that name, or one less alike.`);
}

function mustBeValue(value: string): void {
  const sizeBytes = Buffer.byteLength(value);
  if (sizeBytes === 0) throw new NikaError("invalid", "A secret cannot be empty; `nika secrets remove` forgets one.");
  if (sizeBytes > valueBytesMax) throw new NikaError("invalid", `A secret holds up to ${valueBytesMax / 1024} kB.`);
}
