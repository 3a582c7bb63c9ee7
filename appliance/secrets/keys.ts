/**
 * The appliance's own keys, made at first start. Files under DATA/keys, readable by their owner only. They never enter the control
 * plane, the log, the command line or git. Not promised: protection from someone who can already read the owner's files.
 */
import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, type KeyObject } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeWhole } from "./whole.ts";

export type Keys = {
  /** Lets its holder call internal functions. Convex's tools expect `name|hex`. */
  readonly adminKey: string;
  /** Signs owner tokens, ES256. */
  readonly signing: { readonly key: KeyObject; readonly kid: string };
  /** Seals session cookies. Deleting its file ends every session. */
  readonly session: Buffer;
  /** Opens the embedded vector store. Derived, so there is nothing more to keep. */
  readonly vectorsKey: string;
  /** The public half as a `data:` URL, which is all the control plane ever learns. */
  readonly jwksUrl: string;
};

/** Reads the keys of this data directory; makes them on the first start. */
export function openKeys(dataDir: string): Keys {
  const dir = join(dataDir, "keys");
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  chmodSync(dir, 0o700);
  const adminKey = once(join(dir, "admin.key"), () => `nika|${randomBytes(32).toString("hex")}`);
  const pem = once(join(dir, "signing.pem"), () =>
    generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  );
  const session = Buffer.from(once(join(dir, "session.key"), () => randomBytes(32).toString("hex")).trim(), "hex");
  const key = createPrivateKey(pem);
  const jwk = createPublicKey(key).export({ format: "jwk" });
  const kid = `nika-${String(jwk["x"]).slice(0, 12)}`;
  const jwks = JSON.stringify({ keys: [{ ...jwk, kid, alg: "ES256", use: "sig" }] });
  return {
    adminKey: adminKey.trim(),
    signing: { key, kid },
    session,
    vectorsKey: createHmac("sha256", session).update("vectors").digest("hex"),
    jwksUrl: `data:application/json;base64,${Buffer.from(jwks).toString("base64")}`,
  };
}

/** A crash leaves a whole key or none. */
function once(path: string, make: () => string): string {
  if (!existsSync(path)) writeWhole(path, make());
  return readFileSync(path, "utf8");
}
