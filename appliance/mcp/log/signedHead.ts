/**
 * How far the log reaches, signed: so that an end that was cut off is missed after a restart as well, when nobody remembers it. The key lies on this
 * machine; against somebody who can read it, keep a head elsewhere (`nika events verify` shows it, and compares with `--head`).
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify, type KeyObject } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import { join } from "node:path";
import { writeWhole } from "../../secrets/whole.ts";
import { isRecord } from "../meta.ts";

export type Head = { readonly seq: number; readonly hash: string };
export type SignedHead = Head & {
  readonly at: number;
  /** First digits of the public key's hash. */
  readonly key: string;
  /** Ed25519, base64url. */
  readonly signature: string;
};

export type HeadKeeper = {
  /** Undefined where nothing was signed yet, `false` for what is not ours or cannot be read. */
  read(): SignedHead | undefined | false;
  write(head: Head, at: number): Promise<void>;
  /** The same at once, for the first, so that a key is never without a head. */
  writeFirst(head: Head, at: number): void;
  /** Whether the key was there before: then a head must be there, too. */
  readonly hasSigned: boolean;
};

const textOf = ({ seq, hash, at, key }: Omit<SignedHead, "signature">): Buffer =>
  Buffer.from(`nika log head\n${seq}\n${hash}\n${at}\n${key}\n`);
const fileOf = (dir: string): string => join(dir, "head.json");
const keyFileOf = (keysDir: string): string => join(keysDir, "log.pem");
const fingerprintOf = (key: KeyObject): string =>
  createHash("sha256")
    .update(createPublicKey(key).export({ type: "spki", format: "der" }))
    .digest("hex")
    .slice(0, 16);

/** Makes the key at first. `dir` is where the log lies. */
export function openHeadKeeper(dir: string, keysDir: string): HeadKeeper {
  mkdirSync(keysDir, { recursive: true, mode: 0o700 });
  const hasSigned = existsSync(keyFileOf(keysDir));
  if (!hasSigned)
    writeWhole(keyFileOf(keysDir), generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString());
  const signing = createPrivateKey(readFileSync(keyFileOf(keysDir)));
  const key = fingerprintOf(signing);
  const signed = ({ seq, hash }: Head, at: number): string => {
    const head = { seq, hash, at, key };
    return `${JSON.stringify({ ...head, signature: sign(null, textOf(head), signing).toString("base64url") })}\n`;
  };
  return {
    hasSigned,
    read: () => readSignedHead(dir, keysDir),
    writeFirst: (head, at) => writeWhole(fileOf(dir), signed(head, at)),
    async write(head, at) {
      const temporary = `${fileOf(dir)}.new`;
      const file = await open(temporary, "w", 0o600);
      try {
        await file.writeFile(signed(head, at));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, fileOf(dir));
    },
  };
}

/** The same for whoever only looks, such as the command line. */
export function readSignedHead(dir: string, keysDir: string): SignedHead | undefined | false {
  if (!existsSync(fileOf(dir))) return undefined;
  try {
    const head: unknown = JSON.parse(readFileSync(fileOf(dir), "utf8"));
    const key = createPrivateKey(readFileSync(keyFileOf(keysDir)));
    if (!isRecord(head)) return false;
    const { seq, hash, at, signature } = head as SignedHead & Record<string, unknown>;
    if (typeof signature !== "string") return false;
    const isOurs = verify(
      null,
      textOf({ seq, hash, at, key: fingerprintOf(key) }),
      createPublicKey(key),
      Buffer.from(signature, "base64url"),
    );
    return isOurs && { seq, hash, at, key: fingerprintOf(key), signature };
  } catch {
    return false;
  }
}

export const hasSigningKey = (keysDir: string): boolean => existsSync(keyFileOf(keysDir));
