/**
 * Azure: machines on demand and spot, each in a group of resources of its own, and Azure Machine Learning's jobs where a workspace is
 * named. A shutdown from inside ends no bill here; what is asked for beside each machine is Azure's own shutdown at the deadline.
 */
import { setTimeout as wait } from "node:timers/promises";
import type { Capability, Ref } from "../../../convex/model/gpu.ts";
import { ProviderError, type Provider } from "../../../functions/ports/gpu.ts";
import { failureOf, openHttp, type HttpOptions } from "../http.ts";
import { openArm, type AzureKey } from "./arm.ts";
import { azureBill, readBill } from "./bill.ts";
import { checkAzure } from "./check.ts";
import { isJob, openLearning } from "./learning.ts";
import { openMachines } from "./machine.ts";
import { azureOffers, openPrices } from "./offers.ts";

export type AzureOptions = AzureKey & {
  readonly regions: readonly string[];
  /** A workspace of Azure Machine Learning, and where it is. */
  readonly training?: { readonly group: string; readonly workspace: string; readonly region: string };
  /** The id of a role that may delete a group of resources and nothing else; machines get it for their own. */
  readonly selfDeleteRole?: string;
  readonly now?: () => number;
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Another origin for all services, such as a firm's proxy. */
  readonly url?: string;
  readonly journal?: HttpOptions["journal"];
};

const capability: Capability = {
  form: ["machine"],
  createIs: "onceByName",
  hasTags: true,
  hasSpot: true,
  shutdownEndsBill: "no",
  hasTtl: false,
  deletesItself: "no",
  listLagMs: 30_000,
  noticeMs: 30_000,
  bootBytesMax: 64_000,
};

/** Fails with `ProviderError` when no region is named. */
export function openAzure(options: AzureOptions): Provider {
  const { regions, training, selfDeleteRole, now = Date.now, url } = options;
  if (regions.length === 0)
    throw new ProviderError(failureOf("invalid", "account", "Azure needs the name of a region, such as westeurope"));
  const sleep = options.sleep ?? (async (ms, signal) => await wait(ms, undefined, { signal }));
  const { tenant, client, secret } = options;
  const subscription = `/subscriptions/${encodeURIComponent(options.subscription)}`;
  const arm = openArm({
    key: { tenant, client, secret, subscription: options.subscription },
    now,
    sleep,
    url,
    journal: options.journal,
  });
  const machines = openMachines({ arm, subscription, now, selfDeleteRole });
  const workspace =
    training &&
    `${subscription}/resourceGroups/${encodeURIComponent(training.group)}/providers/Microsoft.MachineLearningServices/workspaces/${encodeURIComponent(training.workspace)}`;
  const learning = workspace === undefined ? undefined : openLearning({ arm, url, workspace, now });
  const prices = openPrices(openHttp({ vendor: "Azure", url: "", now }), url ?? "https://prices.azure.com", now);

  return {
    id: "azure",
    capability: {
      ...capability,
      form: learning ? ["machine", "managed"] : ["machine"],
      deletesItself: selfDeleteRole === undefined ? "no" : "identity",
    },
    offers: async (need, signal) =>
      await azureOffers({ arm, prices, subscription, regions, learningIn: training?.region }, need, signal),
    async create(intent, signal) {
      if (Buffer.byteLength(intent.boot) > capability.bootBytesMax)
        return {
          type: "failed",
          failure: failureOf("invalid", "type", `Azure takes boot scripts of ${capability.bootBytesMax} bytes at most`),
        };
      if (intent.offer.form !== "managed") return await machines.create(intent, signal);
      if (learning) return await learning.create(intent, signal);
      return { type: "failed", failure: failureOf("invalid", "provider", "Azure's jobs need a workspace, and none is named") };
    },
    describe: async (ref, signal) => await (isJob(ref) ? learning?.describe(ref, signal) : machines.describe(ref, signal)),
    async *list(signal) {
      yield* machines.list(signal);
      if (learning) yield* learning.list(signal);
    },
    async terminate(ref, signal) {
      if (!isJob(ref)) return await machines.terminate(ref, signal);
      if (learning) return await learning.terminate(ref, signal);
      throw new ProviderError(failureOf("missing", "provider", "Azure's jobs need a workspace, and none is named"));
    },
    ...(learning && {
      output: async (ref: Ref, cursor: string | undefined, signal: AbortSignal) =>
        isJob(ref) ? await learning.output(ref, cursor, signal) : { text: "" },
    }),
    billTerms: azureBill,
    bill: async (periods, signal) => await readBill(arm, subscription, periods, signal),
    check: async (signal) => await checkAzure({ arm, prices, subscription, regions, workspace }, signal),
  };
}
