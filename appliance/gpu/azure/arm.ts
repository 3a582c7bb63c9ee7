/**
 * Azure's Resource Manager by REST: a token for an application's secret, JSON bodies, operations that end later. The official clients
 * for it are 151 MB.
 */
import { ProviderError } from "../../../functions/ports/gpu.ts";
import {
  failureOf,
  openHttp,
  retryAfterMs,
  type Answer,
  type Http,
  type HttpOptions,
  type Question,
  type Sent,
} from "../http.ts";
import { isRecord, numberOf, recordsIn, textOf } from "../record.ts";
import { azureFailure, errorFailure } from "./failures.ts";

export type AzureKey = {
  readonly tenant: string;
  readonly client: string;
  readonly secret: string;
  readonly subscription: string;
};

/** Versions of interfaces, of years that Azure goes on serving. */
export const versions = {
  groups: "2021-04-01",
  compute: "2024-07-01",
  network: "2024-05-01",
  skus: "2021-07-01",
  roles: "2022-04-01",
  schedules: "2018-09-15",
  learning: "2024-10-01",
  costs: "2025-03-01",
} as const;

export type Arm = {
  /** Asks once; a token that was refused is renewed before it is asked again, which is still once: nothing was done. */
  send(question: Question, signal: AbortSignal): Promise<Sent>;
  /** Fails with `ProviderError`. */
  ask(question: Question, signal: AbortSignal): Promise<Answer>;
  /** Undefined for what is not there. */
  find(path: string, signal: AbortSignal): Promise<Record<string, unknown> | undefined>;
  /** Everything in a list, page by page. */
  all(path: string, signal: AbortSignal): AsyncIterable<Record<string, unknown>>;
  /**
   * Follows what an answer began for `forMs` at most. `running`: it goes on. Fails with `ProviderError` for what it came to.
   */
  follow(answer: Answer, forMs: number, signal: AbortSignal): Promise<"ended" | "running">;
};

export type ArmOptions = {
  readonly key: AzureKey;
  readonly now: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly url: string | undefined;
  readonly journal: HttpOptions["journal"] | undefined;
};

const askAgainMs = 5_000;
const earlyMs = 120_000;

export function openArm({ key, now, sleep, url, journal }: ArmOptions): Arm {
  let kept: { readonly text: string; readonly endsAt: number } | undefined;
  const http: Http = openHttp({
    vendor: "Azure",
    url: url ?? "https://management.azure.com",
    now,
    headers: async (signal) => ({ authorization: `Bearer ${await token(signal)}` }),
    secrets: () => [key.secret],
    ...(journal ? { journal } : {}),
  });

  async function token(signal: AbortSignal): Promise<string> {
    if (kept && kept.endsAt - earlyMs > now()) return kept.text;
    const form = {
      grant_type: "client_credentials",
      client_id: key.client,
      client_secret: key.secret,
      scope: "https://management.azure.com/.default",
    };
    const path = `${url ?? "https://login.microsoftonline.com"}/${encodeURIComponent(key.tenant)}/oauth2/v2.0/token`;
    const sent = await http.send({ method: "POST", path, form, isBare: true }, signal);
    if (sent.type === "none") throw new ProviderError(sent.failure);
    const { status, body } = sent.answer;
    const text = isRecord(body) ? textOf(body["access_token"]) : "";
    if (status >= 500) throw new ProviderError(failureOf("transient", "provider", "Azure has trouble signing in"));
    if (status !== 200 || text === "") {
      const code = isRecord(body) ? textOf(body["error"]) : "";
      throw new ProviderError(
        failureOf("auth", "account", `Azure does not take the application's secret (${/^\w+$/.test(code) ? code : "refused"})`),
      );
    }
    kept = { text, endsAt: now() + (isRecord(body) ? numberOf(body["expires_in"]) : 0) * 1_000 };
    return text;
  }

  const send: Arm["send"] = async (question, signal) => {
    const sent = await http.send(question, signal);
    if (sent.type === "none" || sent.answer.status !== 401) return sent;
    kept = undefined;
    return await http.send(question, signal);
  };
  const ask: Arm["ask"] = async (question, signal) => {
    const sent = await send(question, signal);
    if (sent.type === "none") throw new ProviderError(sent.failure);
    if (sent.answer.status < 300) return sent.answer;
    const failure = azureFailure(sent.answer);
    const waitMs = failure.kind === "rateLimit" ? retryAfterMs(sent.answer.headers, now()) : undefined;
    throw new ProviderError(waitMs === undefined ? failure : { ...failure, retryAfterMs: waitMs });
  };

  return {
    send,
    ask,
    async find(path, signal) {
      try {
        const { body } = await ask({ method: "GET", path }, signal);
        return isRecord(body) ? body : {};
      } catch (error) {
        if (error instanceof ProviderError && error.failure.kind === "missing") return undefined;
        throw error;
      }
    },
    async *all(path, signal) {
      for (let next = path; next !== "";) {
        const { body } = await ask({ method: "GET", path: next }, signal);
        yield* recordsIn(body, "value") ?? [];
        next = isRecord(body) ? textOf(body["nextLink"]) : "";
      }
    },
    async follow(answer, forMs, signal) {
      const operation = answer.headers.get("azure-asyncoperation");
      if (operation === null) return "ended";
      let { headers } = answer;
      for (let waitedMs = 0; waitedMs < forMs;) {
        const waitMs = retryAfterMs(headers, now()) ?? askAgainMs;
        await sleep(waitMs, signal);
        waitedMs += Math.max(waitMs, 1_000);
        const state = await ask({ method: "GET", path: operation }, signal);
        ({ headers } = state);
        const body = isRecord(state.body) ? state.body : {};
        if (body["status"] === "Succeeded") return "ended";
        if (body["status"] === "Failed" || body["status"] === "Canceled") throw new ProviderError(errorFailure(body["error"]));
      }
      return "running";
    },
  };
}
