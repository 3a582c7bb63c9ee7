/** Google Cloud's services by REST, with the account's token. The official client for Compute alone is 144 MB and takes 2.9 s to load. */
import { ProviderError } from "../../../functions/ports/gpu.ts";
import { openHttp, retryAfterMs, type Answer, type Http, type HttpOptions, type Question, type Sent } from "../http.ts";
import { isRecord, recordsIn, textOf } from "../record.ts";
import { googleFailure } from "./failures.ts";
import { openTokens, type ServiceAccount } from "./token.ts";

export type Rest = {
  /** Asks once; a token that was refused is renewed before it is asked again, which is still once: nothing was done. */
  send(question: Question, signal: AbortSignal): Promise<Sent>;
  /** Fails with `ProviderError`. */
  ask(question: Question, signal: AbortSignal): Promise<Answer>;
  /** Undefined for what is not there. */
  find(path: string, signal: AbortSignal): Promise<Record<string, unknown> | undefined>;
  /** All pages of a list. */
  pages(path: string, signal: AbortSignal): AsyncIterable<Record<string, unknown>>;
};

export function openRest({
  account,
  now,
  url,
  journal,
}: {
  readonly account: ServiceAccount;
  readonly now: () => number;
  readonly url: string | undefined;
  readonly journal: HttpOptions["journal"] | undefined;
}): Rest {
  const tokens = openTokens({ account, http: () => http, now, path: `${url ?? "https://oauth2.googleapis.com"}/token` });
  const http: Http = openHttp({
    vendor: "Google Cloud",
    url: "",
    now,
    headers: async (signal) => ({ authorization: `Bearer ${await tokens.now(signal)}` }),
    secrets: () => [account.privateKey],
    ...(journal ? { journal } : {}),
  });
  const send: Rest["send"] = async (question, signal) => {
    const sent = await http.send(question, signal);
    if (sent.type === "none" || sent.answer.status !== 401) return sent;
    tokens.forget();
    return await http.send(question, signal);
  };
  const ask: Rest["ask"] = async (question, signal) => {
    const sent = await send(question, signal);
    if (sent.type === "none") throw new ProviderError(sent.failure);
    if (sent.answer.status < 300) return sent.answer;
    const failure = googleFailure(sent.answer);
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
    async *pages(path, signal) {
      let token = "";
      do {
        const next = token === "" ? path : `${path}${path.includes("?") ? "&" : "?"}pageToken=${encodeURIComponent(token)}`;
        const { body } = await ask({ method: "GET", path: next }, signal);
        const page = isRecord(body) ? body : {};
        yield page;
        token = textOf(page["nextPageToken"]);
      } while (token !== "");
    },
  };
}

/** The hosts of Google's services, or one for all of them. */
export function hostsOf(url: string | undefined): {
  readonly compute: string;
  readonly billing: string;
  readonly projects: string;
  readonly logging: string;
  readonly bigQuery: string;
  vertex(region: string): string;
} {
  return {
    compute: `${url ?? "https://compute.googleapis.com"}/compute/v1`,
    billing: `${url ?? "https://cloudbilling.googleapis.com"}/v1`,
    projects: `${url ?? "https://cloudresourcemanager.googleapis.com"}/v1`,
    logging: `${url ?? "https://logging.googleapis.com"}/v2`,
    bigQuery: `${url ?? "https://bigquery.googleapis.com"}/bigquery/v2`,
    vertex: (region) => `${url ?? `https://${region}-aiplatform.googleapis.com`}/v1`,
  };
}

/** What a list over all zones holds under a name. Fails rather than leave out a zone that did not answer. */
export function acrossZones(
  page: Record<string, unknown>,
  name: string,
  incomplete: (zone: string) => ProviderError,
): Record<string, unknown>[] {
  const found: Record<string, unknown>[] = [];
  for (const [zone, scoped] of Object.entries(isRecord(page["items"]) ? page["items"] : {})) {
    const warning = isRecord(scoped) && isRecord(scoped["warning"]) ? textOf(scoped["warning"]["code"]) : "";
    if (warning !== "" && warning !== "NO_RESULTS_ON_PAGE") throw incomplete(zone);
    found.push(...(recordsIn(scoped, name) ?? []));
  }
  return found;
}
