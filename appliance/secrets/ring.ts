/**
 * The keys that open secrets, in the age format (age-encryption.org/v1) so that the owner can open them with any age tool. X25519 only: the
 * age of Debian 12 knows no other. Every secret is for two: this machine's tenant key, and a recovery key that the owner keeps elsewhere.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { NikaError } from "../../convex/model/error.ts";
import { syncFolder, writeWhole } from "./whole.ts";

/** What the ring needs to know of the machine. */
export type RingOptions = {
  readonly dataDir: string;
  /** A file that holds the tenant key instead of one under DATA/keys: a credential of the service manager, say. Never written to. */
  readonly tenantKeyFile: string | undefined;
};

export type Recovery = {
  /** The public half. */
  readonly recipient: string;
  /** The key itself, as long as the owner has not said that it is kept elsewhere. */
  readonly identity: string | undefined;
};

export type Ring = {
  encrypt(text: string): Promise<Uint8Array>;
  /** Fails with `unreadable` when none of the keys opens it, or when one bit of it is not what was written. */
  decrypt(bytes: Uint8Array, identity?: string): Promise<string>;
  recovery(): Promise<Recovery>;
  /** The owner has written the recovery key down: it is erased here. */
  forgetRecovery(): void;
  /** From now on this is the recovery key, which its owner has. */
  adoptRecovery(identity: string): Promise<void>;
  /** Makes another recovery key; what was encrypted before must be encrypted again. */
  renewRecovery(): Promise<void>;
  /** Makes the next tenant key and encrypts for it from now on; older keys still open. `endRekey` when all is encrypted again. */
  beginRekey(): Promise<void>;
  endRekey(): void;
  /** A crash may have left a change of keys half done. */
  isRekeying(): boolean;
};

const oldName = /^tenant-\d+\.key$/u;

/** Nothing is made or read before the first use: a machine without secrets has no keys for them. */
export function openRing({ dataDir, tenantKeyFile }: RingOptions): Ring {
  const dir = join(dataDir, "keys");
  const [current, next] = [join(dir, "tenant.key"), join(dir, "tenant.next.key")];
  const [recipientPath, pendingPath] = [join(dir, "recovery.pub"), join(dir, "recovery.pending.age")];

  /** The key that is encrypted for; the newest there is. */
  const tenant = async (): Promise<string> => {
    if (existsSync(next)) return readKey(next);
    if (tenantKeyFile !== undefined) return readKey(tenantKeyFile);
    if (!existsSync(current)) writeWhole(current, `${await makeIdentity()}\n`, makeFolder(dir));
    return readKey(current);
  };
  const all = async (): Promise<string[]> => {
    const old = existsSync(dir) ? readdirSync(dir).filter((name) => oldName.test(name)) : [];
    const paths = [...(existsSync(current) ? [current] : []), ...old.map((name) => join(dir, name))];
    return [
      ...new Set([await tenant(), ...paths.map(readKey), ...(tenantKeyFile === undefined ? [] : [readKey(tenantKeyFile)])]),
    ];
  };
  const newRecovery = async (): Promise<void> => {
    const { identityToRecipient } = await import("age-encryption");
    const identity = await makeIdentity();
    // The key first: a recipient whose key nobody has would be a recovery that cannot work.
    writeWhole(pendingPath, await encryptFor(identity, [await identityToRecipient(await tenant())]), makeFolder(dir));
    writeWhole(recipientPath, `${await identityToRecipient(identity)}\n`, dir);
  };
  const recipientOf = async (): Promise<string> => {
    if (!existsSync(recipientPath)) await newRecovery();
    return readFileSync(recipientPath, "utf8").trim();
  };
  return {
    async encrypt(text) {
      const { identityToRecipient } = await import("age-encryption");
      return encryptFor(text, [await identityToRecipient(await tenant()), await recipientOf()]);
    },
    async decrypt(bytes, identity) {
      return decryptWith(bytes, identity === undefined ? await all() : [identity]);
    },
    async recovery() {
      const recipient = await recipientOf();
      if (!existsSync(pendingPath)) return { recipient, identity: undefined };
      return { recipient, identity: await decryptWith(readFileSync(pendingPath), await all()) };
    },
    forgetRecovery: () => rmSync(pendingPath, { force: true }),
    async adoptRecovery(identity) {
      const { identityToRecipient } = await import("age-encryption");
      writeWhole(recipientPath, `${await identityToRecipient(identity)}\n`, makeFolder(dir));
      rmSync(pendingPath, { force: true });
    },
    renewRecovery: newRecovery,
    async beginRekey() {
      if (tenantKeyFile !== undefined)
        throw new NikaError(
          "conflict",
          `The tenant key comes from ${tenantKeyFile}; replace it there, and keep the old one beside it.`,
        );
      await tenant();
      if (!existsSync(next)) writeWhole(next, `${await makeIdentity()}\n`, dir);
      // The recovery key that waits to be written down must open with the new key too.
      if (existsSync(pendingPath)) {
        const { identityToRecipient } = await import("age-encryption");
        const identity = await decryptWith(readFileSync(pendingPath), await all());
        writeWhole(pendingPath, await encryptFor(identity, [await identityToRecipient(await tenant())]), dir);
      }
    },
    endRekey() {
      // Kept, because backups made before are for it.
      let count = 1;
      while (existsSync(join(dir, `tenant-${count}.key`))) count += 1;
      if (existsSync(current)) renameSync(current, join(dir, `tenant-${count}.key`));
      renameSync(next, current);
      syncFolder(dir);
    },
    isRekeying: () => existsSync(next),
  };
}

function makeFolder(dir: string): string {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  chmodSync(dir, 0o700);
  return dir;
}

function readKey(path: string): string {
  const line = readFileSync(path, "utf8")
    .split("\n")
    .find((text) => text.startsWith("AGE-SECRET-KEY-1"));
  if (line === undefined) throw new NikaError("unreadable", `There is no age key in ${path}; put back the file that was there.`);
  return line.trim();
}

/** Loaded when needed: most machines start without touching a secret. */
async function makeIdentity(): Promise<string> {
  return (await import("age-encryption")).generateX25519Identity();
}

async function encryptFor(text: string, recipients: readonly string[]): Promise<Uint8Array> {
  const { Encrypter } = await import("age-encryption");
  const encrypter = new Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  return encrypter.encrypt(text);
}

async function decryptWith(bytes: Uint8Array, identities: readonly string[]): Promise<string> {
  const { Decrypter } = await import("age-encryption");
  const decrypter = new Decrypter();
  try {
    for (const identity of identities) decrypter.addIdentity(identity);
    return await decrypter.decrypt(bytes, "text");
  } catch (error) {
    throw new NikaError("unreadable", "No key here opens this secret; was it changed, or is it of another machine?", {
      cause: error,
    });
  }
}
