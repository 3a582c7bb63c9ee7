/**
 * Google Cloud: Compute Engine on demand and spot, and Vertex AI's custom jobs where they are asked for. Each machine has Google's own
 * timer, which deletes it; a shutdown from inside stops the machine and leaves its disk, which is paid.
 */
import type { Capability } from "../../../convex/model/gpu.ts";
import { ProviderError, type Provider } from "../../../functions/ports/gpu.ts";
import { failureOf, type HttpOptions } from "../http.ts";
import { googleBill, googleBillUnread, readBill, tableOf } from "./bill.ts";
import { checkGoogle } from "./check.ts";
import { openCompute } from "./compute.ts";
import { googleOffers } from "./offers.ts";
import { hostsOf, openRest } from "./rest.ts";
import { openSkus } from "./skus.ts";
import { readServiceAccount } from "./token.ts";
import { isJob, openVertex } from "./vertex.ts";

export type GoogleOptions = {
  /** The JSON of a service account's key. */
  readonly serviceAccount: string;
  /** The key's own project unless said. */
  readonly project?: string;
  readonly regions: readonly string[];
  /** Also offer Vertex AI's jobs, which act as `account` where it is given. */
  readonly training?: { readonly account?: string };
  /** What runs on a machine may delete it as this service account, which should be able to do nothing else. */
  readonly machineAccount?: string;
  /** Where the bill is exported to in BigQuery: PROJECT.DATASET.TABLE. */
  readonly billingTable?: string;
  readonly now?: () => number;
  /** Another origin for all services, such as a firm's proxy. */
  readonly url?: string;
  readonly journal?: HttpOptions["journal"];
};

const capability: Capability = {
  form: ["machine"],
  createIs: "onceByToken",
  hasTags: true,
  hasSpot: true,
  shutdownEndsBill: "no",
  hasTtl: true,
  deletesItself: "no",
  listLagMs: 10_000,
  noticeMs: 30_000,
  bootBytesMax: 262_144,
};

/** Fails with `ProviderError` when the key cannot be used or no region is named. */
export function openGoogle(options: GoogleOptions): Provider {
  const { regions, now = Date.now, url, machineAccount } = options;
  if (regions.length === 0)
    throw new ProviderError(failureOf("invalid", "account", "Google Cloud needs the name of a region, such as europe-west4"));
  const account = readServiceAccount(options.serviceAccount);
  const project = encodeURIComponent(options.project ?? account.project);
  const hosts = hostsOf(url);
  const base = `${hosts.compute}/projects/${project}`;
  const rest = openRest({ account, now, url, journal: options.journal });
  const compute = openCompute({ rest, base, now, machineAccount });
  const vertex = openVertex({ rest, hosts, project, now, serviceAccount: options.training?.account });
  const skus = openSkus(rest, hosts.billing, now);
  const hasTraining = options.training !== undefined;
  const table = options.billingTable === undefined ? undefined : tableOf(options.billingTable);

  return {
    id: "google",
    capability: {
      ...capability,
      form: hasTraining ? ["machine", "managed"] : ["machine"],
      deletesItself: machineAccount === undefined ? "no" : "identity",
    },
    offers: async (need, signal) => await googleOffers({ rest, base, skus, regions, hasTraining }, need, signal),
    async create(intent, signal) {
      if (Buffer.byteLength(intent.boot) > capability.bootBytesMax)
        return { type: "failed", failure: failureOf("invalid", "type", "Google Cloud takes boot scripts of 256 KiB at most") };
      return await (intent.offer.form === "managed" ? vertex : compute).create(intent, signal);
    },
    describe: async (ref, signal) => await (isJob(ref) ? vertex : compute).describe(ref, signal),
    async *list(signal) {
      yield* compute.list(signal);
      if (hasTraining) for (const region of regions) yield* vertex.list(region, signal);
    },
    terminate: async (ref, signal) => await (isJob(ref) ? vertex : compute).terminate(ref, signal),
    check: async (signal) =>
      await checkGoogle({ rest, base, projectUrl: `${hosts.projects}/projects/${project}`, skus, regions, hasTraining }, signal),
    billTerms: table === undefined ? googleBillUnread : googleBill,
    ...(table !== undefined && {
      bill: async (periods: readonly string[], signal: AbortSignal) =>
        await readBill(rest, { base: `${hosts.bigQuery}/projects/${project}`, table }, periods, signal),
    }),
    output: async (ref, cursor, signal) => await (isJob(ref) ? vertex : compute).output(ref, cursor, signal),
  };
}
