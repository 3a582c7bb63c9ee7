/**
 * Whether a delivery comes from whom it should. Two ways of signing: id, time and body together, as Standard Webhooks have it
 * (standardwebhooks.com), and the body alone, as GitHub does. Pure: the caller passes the time.
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { Webhook } from "../../convex/model/userFunction.ts";

export type Delivery = {
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Milliseconds since 1970. */
  readonly now: number;
};
export type Verdict =
  /** `key`: by which the same delivery is known when it comes again; undefined when nothing tells. */
  { readonly ok: true; readonly key: string | undefined } | { readonly ok: false; readonly why: string };

const idHeader = "webhook-id";
const timeHeader = "webhook-timestamp";
const idCharsMax = 200;
const secretPrefix = "whsec_";
const hashBytes = 32;

export function verify(webhook: Webhook, secret: string | undefined, { headers, body, now }: Delivery): Verdict {
  const id = oneOf(headers[idHeader]);
  const isGoodId = id !== undefined && id !== "" && id.length <= idCharsMax;
  if (webhook.verify === "none") return { ok: true, key: isGoodId ? `id ${id}` : undefined };
  if (secret === undefined || secret === "") return refused("its secret is not kept here yet");
  const given = oneOf(headers[webhook.header]);
  if (given === undefined) return refused(`there is no ${webhook.header}`);
  if (webhook.signs === "body")
    // The only thing that is signed is the body, so by that it is known again: an id beside it could be any.
    return isSigned(given, secret, [body])
      ? { ok: true, key: `body ${createHash("sha256").update(body).digest("hex")}` }
      : refused("the signature is another");
  const time = oneOf(headers[timeHeader]) ?? "";
  if (!isGoodId) return refused(`there is no ${idHeader}`);
  if (!/^\d{1,12}$/u.test(time)) return refused(`there is no ${timeHeader}`);
  if (!isSigned(given, secret, [`${id}.${time}.`, body])) return refused("the signature is another");
  if (Math.abs(now - Number(time) * 1_000) > webhook.toleranceMs) return refused("it is too old, or the clocks differ");
  return { ok: true, key: `id ${id}` };
}

/** Whether one of the given signatures is right: `v1,BASE64`, `sha256=HEX` or either alone, with spaces between. */
function isSigned(given: string, secret: string, parts: readonly (string | Buffer)[]): boolean {
  const key = secret.startsWith(secretPrefix) ? Buffer.from(secret.slice(secretPrefix.length), "base64") : Buffer.from(secret);
  const hmac = createHmac("sha256", key);
  for (const part of parts) hmac.update(part);
  const right = hmac.digest();
  let isRight = false;
  // All of them are compared, each in constant time.
  for (const one of given.split(" ").slice(0, 8)) {
    const text = one.replace(/^(?:v1,|v1=|sha256=)/u, "");
    const bytes = /^[0-9a-f]{64}$/iu.test(text) ? Buffer.from(text, "hex") : Buffer.from(text, "base64");
    if (bytes.length === hashBytes && timingSafeEqual(bytes, right)) isRight = true;
  }
  return isRight;
}

const refused = (why: string): Verdict => ({ ok: false, why });
const oneOf = (value: string | string[] | undefined): string | undefined => (Array.isArray(value) ? value[0] : value);
