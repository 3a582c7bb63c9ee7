/** Names under which others come in. Of their secrets only hashes are kept: whoever makes one shows it once. */
import { NikaError } from "../model/error.ts";
import type { Turn } from "./guard.ts";

type NewToken = {
  readonly name: string;
  /** SHA-256 of the secret, in hex. */
  readonly hash: string;
  /** The most of them that there may be. */
  readonly max: number;
  /** The command that takes one back: "nika worker revoke". */
  readonly revoke: string;
};

/** Fails with `invalid` when the hash is none, `full` when there are too many, `conflict` when the name has one. */
export async function checkNewToken(
  turn: Turn,
  table: "bridgeTokens" | "serverTokens" | "workerTokens",
  { name, hash, max, revoke }: NewToken,
): Promise<void> {
  if (!/^[0-9a-f]{64}$/u.test(hash)) throw new NikaError("invalid", "The hash of a token is 64 hexadecimal digits.");
  const others = await turn.db.query(table).take(max);
  if (others.length === max) throw new NikaError("full", `There can be at most ${max} tokens; take one back with \`${revoke}\`.`);
  if (others.some((one) => one.name === name))
    throw new NikaError("conflict", `There is a token for ${name}; take it back first with \`${revoke} ${name}\`.`);
}
