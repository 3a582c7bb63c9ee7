/** RunPod, by its REST API v2. Interruptible pods and timers of its own are no part of that API; see docs/gpuProviders.md. */
import type { AccountCheck, Capability, Observed } from "../../../convex/model/gpu.ts";
import { ProviderError, type Provider } from "../../../functions/ports/gpu.ts";
import { openHttp, vendorWords, type HttpOptions } from "../http.ts";
import { isRecord, numberOf, textOf } from "../record.ts";
import { readBill, runpodBill } from "./bill.ts";
import { requestFailure } from "./failures.ts";
import { listOffers, usd } from "./offers.ts";
import { createPod, deletePod, describePod, listPods } from "./pods.ts";
import { createEndpoint, deleteEndpoint, describeEndpoint, isServerless, listEndpoints } from "./serverless.ts";

export type RunpodOptions = {
  readonly credentials: () => Promise<{ readonly apiKey: string }>;
  readonly now: () => number;
  /** Offers serverless GPUs as well; what runs on them must speak RunPod's worker protocol. */
  readonly hasServerless?: boolean;
  readonly journal?: HttpOptions["journal"];
  /** Of its management and of its queues; others in tests. */
  readonly url?: string;
  readonly runUrl?: string;
};

/** As its docs of August 2026 say. */
const capability: Capability = {
  form: ["container", "managed"],
  createIs: "notOnce",
  hasTags: false,
  hasSpot: false,
  shutdownEndsBill: "unknown",
  // `terminateAfter` was taken and never acted upon.
  hasTtl: false,
  deletesItself: "scopedKey",
  listLagMs: 30_000,
  noticeMs: 0,
  bootBytesMax: 0,
};

export function runpod(options: RunpodOptions): Provider {
  const { now, runUrl = "https://api.runpod.ai" } = options;
  const http = openHttp({
    vendor: "RunPod",
    url: options.url ?? "https://api.runpod.io",
    now,
    // Its own limit is 60 a minute.
    pace: { burst: 60, perMinute: 60 },
    ...(options.journal && { journal: options.journal }),
    headers: async () => ({ authorization: `Bearer ${(await options.credentials()).apiKey}` }),
  });
  const keysOf = async (signal: AbortSignal): Promise<string[]> => {
    const { body } = await http.ask({ method: "GET", path: "/v2/account/ssh-keys" }, signal, requestFailure);
    if (!isRecord(body) || !Array.isArray(body.keys)) throw new ProviderError(unreadable("SSH keys"));
    return body.keys.filter((key) => typeof key === "string");
  };
  // It replaces all keys at once, so two of ours at a time would lose one.
  let pushing: Promise<void> = Promise.resolve();

  return {
    id: "runpod",
    capability,
    offers: async (need, signal) => await listOffers(http, need, options.hasServerless === true, signal),
    create: async (intent, signal) =>
      await (intent.offer.form === "managed" ? createEndpoint(http, runUrl, intent, signal) : createPod(http, intent, signal)),
    describe: async (ref, signal) => await (isServerless(ref) ? describeEndpoint : describePod)(http, ref, signal),
    async *list(signal): AsyncGenerator<Observed> {
      yield* await listPods(http, signal);
      yield* await listEndpoints(http, signal);
    },
    terminate: async (ref, signal) => await (isServerless(ref) ? deleteEndpoint : deletePod)(http, ref, signal),
    async pushSshKey({ publicKey }, signal) {
      const push = async (): Promise<void> => {
        const keys = await keysOf(signal);
        if (keys.some((key) => sameKey(key, publicKey))) return;
        await http.ask(
          { method: "PUT", path: "/v2/account/ssh-keys", json: { keys: [...keys, publicKey] } },
          signal,
          requestFailure,
        );
        // Another install may have written in between; it, or the next push, sees to its own.
        if (!(await keysOf(signal)).some((key) => sameKey(key, publicKey))) throw new ProviderError(overwritten);
      };
      const turn = pushing.then(push);
      pushing = turn.catch(() => undefined);
      await turn;
    },
    async check(signal) {
      const look = async (name: string, act: () => Promise<string>): Promise<AccountCheck> => {
        try {
          return { name, passed: true, says: await act() };
        } catch (error) {
          return {
            name,
            passed: false,
            says: error instanceof ProviderError ? error.failure.says : "RunPod could not be asked.",
          };
        }
      };
      return [
        await look("key", async () => {
          const count = (await listPods(http, signal)).length;
          return `The key is taken; the account has ${count} pods.`;
        }),
        await look("serverless", async () => `The key sees serverless: ${(await listEndpoints(http, signal)).length} endpoints.`),
        await look("ssh", async () => `The key reads the account's SSH keys: ${(await keysOf(signal)).length}.`),
        await look("stock", async () => {
          const offers = await listOffers(http, { gpu: { count: 1, memoryMb: 0 } }, false, signal);
          const stocked = offers.filter(({ stock }) => stock !== "none").length;
          return `${offers.length} kinds and places of GPUs are offered, ${stocked} of them in stock.`;
        }),
      ];
    },
    async billed(ref, signal) {
      const id = encodeURIComponent(ref.id);
      const path = isServerless(ref) ? `/v2/billing/serverless?serverlessId=${id}` : `/v2/billing/pods?podId=${id}`;
      const { body } = await http.ask({ method: "GET", path }, signal, requestFailure);
      const metadata = isRecord(body) && isRecord(body.metadata) ? body.metadata : {};
      if (!isRecord(metadata.totals)) throw new ProviderError(unreadable("billing"));
      return usd(numberOf(metadata.totals.totalAmount));
    },
    billTerms: runpodBill,
    bill: async (periods, signal) => await readBill(http, periods, signal),
    async output(ref, cursor, signal) {
      if (isServerless(ref)) return { text: "" };
      const { text } = await http.ask(
        {
          method: "GET",
          path: `/v2/pods/${encodeURIComponent(ref.id)}/logs?source=container&tail=1000`,
          headers: { accept: "text/event-stream", ...(cursor !== undefined && { "last-event-id": cursor }) },
          // The stream stays open; what there is comes at once.
          readMs: 2_000,
        },
        signal,
        requestFailure,
      );
      return fromEvents(text, cursor);
    },
  };
}

/** Lines of a stream of events, the id of the last as cursor. An event that is cut off comes again next time. */
function fromEvents(stream: string, cursor: string | undefined): { readonly text: string; readonly cursor?: string } {
  let last = cursor;
  const lines: string[] = [];
  for (const event of stream.split("\n\n").slice(0, stream.endsWith("\n\n") ? undefined : -1)) {
    const id = /^id: ?(.*)$/m.exec(event)?.[1];
    const data = /^data: ?(.*)$/m.exec(event)?.[1];
    if (id === undefined || data === undefined || id === cursor) continue;
    try {
      const said: unknown = JSON.parse(data);
      if (isRecord(said)) lines.push(textOf(said.line));
      last = id;
    } catch {
      break;
    }
  }
  return { text: lines.map((line) => `${line}\n`).join(""), ...(last !== undefined && { cursor: last }) };
}

/** The comment at a key's end is no part of it. */
const sameKey = (one: string, other: string): boolean =>
  one.trim().split(/\s+/).slice(0, 2).join(" ") === other.trim().split(/\s+/).slice(0, 2).join(" ");

const unreadable = (what: string) =>
  ({ kind: "transient", scope: "provider", says: `RunPod answered with something else than ${vendorWords(what)}.` }) as const;
const overwritten = {
  kind: "conflict",
  scope: "account",
  says: "Somebody else changed the RunPod account's SSH keys at the same time; try again.",
} as const;
