/** Contabo's API behind its sign-in: a token for some minutes, bought with the API user's password, and a fresh id on every request. */
import { randomUUID } from "node:crypto";
import { ProviderError } from "../../../functions/ports/gpu.ts";
import { answered, failureOf, openHttp, type Http, type HttpOptions, type Question, type Sent } from "../http.ts";
import { isRecord, numberOf, textOf } from "../record.ts";
import { contaboFailure } from "./failures.ts";

export type ContaboCredentials = {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly user: string;
  readonly password: string;
};

export type ContaboApi = {
  readonly url: string;
  readonly tokenUrl: string;
  readonly now: () => number;
  readonly credentials: () => Promise<ContaboCredentials>;
  readonly journal?: HttpOptions["journal"];
};

/** Before it runs out, a token is let go by so much. */
const spareMs = 30_000;

/** Requests carry a token. One that is refused for its token is asked again, once, with a new one: it had no effect. */
export function openContabo({ url, tokenUrl, now, credentials, journal }: ContaboApi): Http {
  let token: { readonly value: string; readonly until: number } | undefined;
  let secrets: readonly string[] = [];
  const base = { vendor: "Contabo", now, secrets: () => secrets, ...(journal && { journal }) };
  const signIn = openHttp({ ...base, url: tokenUrl });

  const fresh = async (signal: AbortSignal): Promise<string> => {
    if (token && token.until > now()) return token.value;
    const { clientId, clientSecret, user, password } = await credentials();
    secrets = [clientSecret, password];
    const form = { client_id: clientId, client_secret: clientSecret, username: user, password, grant_type: "password" };
    const { body } = await signIn.ask({ method: "POST", path: "", form }, signal, contaboFailure);
    const [value, seconds] = isRecord(body) ? [textOf(body.access_token), numberOf(body.expires_in)] : ["", 0];
    if (value === "") throw new ProviderError(failureOf("transient", "provider", "Contabo's sign-in gave no token"));
    token = { value, until: now() + Math.max(0, seconds * 1000 - spareMs) };
    secrets = [clientSecret, password, value];
    return value;
  };
  const api = openHttp({
    ...base,
    url,
    // It does not publish its limit.
    pace: { burst: 60, perMinute: 60 },
    headers: async (signal) => ({ authorization: `Bearer ${await fresh(signal)}`, "x-request-id": randomUUID() }),
  });

  const send = async (question: Question, signal: AbortSignal): Promise<Sent> => {
    const sent = await api.send(question, signal);
    if (sent.type === "none" || sent.answer.status !== 401) return sent;
    token = undefined;
    return await api.send(question, signal);
  };
  return {
    now,
    send,
    ask: async (question, signal, errors) => answered(await send(question, signal), errors, now()),
  };
}
