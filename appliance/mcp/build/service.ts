/** What prose says of its service as a whole: where it is, and how one signs in. */
import type { Scheme } from "./api.ts";
import { curlsIn } from "./curl.ts";

/** What the text calls the address of its service. */
export function baseIn(text: string): string | undefined {
  const found =
    /(?:base[\s_-]*(?:url|uri|path)|api[\s_-]*(?:root|endpoint|url|host)|root url|url de base|adresse de base|racine(?: de l['’]api)?)[^\n]{0,60}?[\s:`|*(<"=]*(https?:\/\/[^\s`"'<>|)*]{3,200})/iu.exec(
      text,
    ) ?? /(?:base[\s_-]*(?:url|uri)|url de base)[^\n]*\n+(?:```\w*\n)?\s*(https?:\/\/[^\s`"'<>|)*]{3,200})/iu.exec(text);
  return found?.[1]?.replace(/[.,;]+$/u, "");
}

export function schemesIn(text: string): Map<string, Scheme> {
  const schemes = new Map<string, Scheme>();
  if (/\bAuthorization:\s*Bearer\b|\bbearer (?:token|auth)|jeton (?:d['’]acc[èe]s|porteur|bearer)/iu.test(text))
    schemes.set("bearer", { kind: "bearer" });
  const header =
    /\b(X-[A-Za-z-]*(?:Key|Token)|Api-?Key|Apikey)\b\s*[:=`]/iu.exec(text)?.[1] ??
    /\b(X-[A-Za-z-]*(?:Key|Token))\b/iu.exec(text)?.[1];
  if (header !== undefined) schemes.set("api_key", { kind: "apiKey", in: "header", parameter: header });
  else {
    const parameter = /[?&](api[_-]?key|apikey|access_token|token|key)=/iu.exec(text)?.[1];
    if (parameter !== undefined && schemes.size === 0) schemes.set("api_key", { kind: "apiKey", in: "query", parameter });
  }
  if (
    schemes.size === 0 &&
    (/\b(?:HTTP )?Basic (?:auth|authentication)\b|authentification (?:HTTP )?basi(?:c|que)|Authorization:\s*Basic/iu.test(text) ||
      curlsIn(text).some(({ hasUser }) => hasUser))
  )
    schemes.set("basic", { kind: "basic" });
  return schemes;
}
