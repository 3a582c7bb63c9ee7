/** The state that a call is asked to bring back: signed, good for ten minutes, for that call of that asker alone. */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { ProtocolError } from "@modelcontextprotocol/server";
import { canonicalJson } from "../../convex/model/tool.ts";
import { invalidParams } from "./answer.ts";
import type { Call } from "./call.ts";
import { sha256 } from "./pool/kept.ts";

const stateMs = 10 * 60_000;

export type Sealer = {
  /** `inner` is the server's own state, kept inside ours; `about` what was shown to whoever is asked, which a yes is for. */
  seal(call: Call, method: string, inner: string | undefined, about?: string): string;
  /** The server's own state. Fails as the protocol has it for what is not ours, is too old, or belongs to another call or to something else. */
  unseal(call: Call, method: string, state: string, about?: string): string | undefined;
};

type Sealed = { readonly until: number; readonly for: string; readonly inner?: string; readonly about?: string };

/** Good for as long as this process runs: what was sealed by an earlier one is not one of ours. */
export function openSealer(now: () => number): Sealer {
  const secret = randomBytes(32);
  const digestOf = (call: Call, method: string): string => sha256(canonicalJson([call.principal, method, call.name, call.args]));
  const sign = (text: string): Buffer => createHmac("sha256", secret).update(text).digest();

  function seal(call: Call, method: string, inner: string | undefined, about?: string): string {
    const said = { until: now() + stateMs, for: digestOf(call, method), inner, about };
    const text = Buffer.from(JSON.stringify(said)).toString("base64url");
    return `${text}.${sign(text).toString("base64url")}`;
  }

  function unseal(call: Call, method: string, state: string, about?: string): string | undefined {
    const [text = "", signature = ""] = state.split(".", 2);
    const given = Buffer.from(signature, "base64url");
    const right = sign(text);
    if (given.length !== right.length || !timingSafeEqual(given, right))
      throw new ProtocolError(invalidParams, "The state is not one of ours.");
    const known = JSON.parse(Buffer.from(text, "base64url").toString("utf8")) as Sealed;
    if (known.until < now()) throw new ProtocolError(invalidParams, "The state has expired; call again.");
    if (known.for !== digestOf(call, method)) throw new ProtocolError(invalidParams, "The state belongs to another call.");
    if (about !== undefined && known.about !== about)
      throw new ProtocolError(invalidParams, "What was asked about is another now; call again.");
    return known.inner;
  }
  return { seal, unseal };
}
