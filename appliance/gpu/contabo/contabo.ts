/** Contabo: machines without GPUs by the month, as a pool. Its API tells neither prices nor stock; see docs/gpuProviders.md. */
import type { AccountCheck, Capability, Need, Observed, Offer } from "../../../convex/model/gpu.ts";
import { ProviderError, type Provider } from "../../../functions/ports/gpu.ts";
import { failureOf } from "../http.ts";
import {
  createInstance,
  describeInstance,
  isInPool,
  observe,
  poolName,
  readInstances,
  releaseInstance,
  type Instance,
} from "./instances.ts";
import type { ContaboPlan } from "./plans.ts";
import { openContabo, type ContaboApi } from "./token.ts";

export type ContaboOptions = Pick<ContaboApi, "credentials" | "now" | "journal"> & {
  /** Whose pool it is. */
  readonly installId: string;
  readonly plans?: readonly ContaboPlan[];
  /** "EU", "UK", "US-central", … */
  readonly region?: string;
  readonly imageId?: string;
  readonly url?: string;
  readonly tokenUrl?: string;
};

/** As its docs of May 2025 say. */
const capability: Capability = {
  form: ["machine"],
  createIs: "notOnce",
  // There are some, set by a second request; who a machine is for stands in its name, which comes with the first.
  hasTags: false,
  hasSpot: false,
  shutdownEndsBill: "no",
  // It goes at the end of the month that it was cancelled in, not at a time that we give.
  hasTtl: false,
  deletesItself: "no",
  listLagMs: 120_000,
  noticeMs: 0,
  // Not said; what cloud-init takes elsewhere.
  bootBytesMax: 16_384,
};

const monthMs = 30 * 86_400_000;
/** Less than this left of its month, a machine of the pool is not worth installing. */
const worthMs = 2 * 3_600_000;

export function contabo(options: ContaboOptions): Provider {
  const { now, installId, plans = [], region = "EU", imageId = "afecbb85-e2fc-46f0-9684-b46b1faf00bb" } = options;
  const http = openContabo({
    url: options.url ?? "https://api.contabo.com",
    tokenUrl: options.tokenUrl ?? "https://auth.contabo.com/auth/realms/contabo/protocol/openid-connect/token",
    now,
    credentials: options.credentials,
    ...(options.journal && { journal: options.journal }),
  });

  return {
    id: "contabo",
    capability,
    async offers(need, signal) {
      if (need.gpu) return [];
      const pool = (await readInstances(http, signal)).filter((one) => isInPool(one) && one.name === poolName(installId));
      const free = pool.flatMap((one) => fromPool(one, now()));
      return [...free, ...plans.map((plan) => toOffer(plan, region, now()))].filter((offer) => isEnough(offer, need));
    },
    async create(intent, signal) {
      const bytes = Buffer.byteLength(intent.boot);
      if (bytes > capability.bootBytesMax)
        return {
          type: "failed",
          failure: failureOf("invalid", "type", `The boot script has ${bytes} bytes; ${capability.bootBytesMax} are taken`),
        };
      return await createInstance(http, intent, { imageId }, signal);
    },
    describe: async (ref, signal) => await describeInstance(http, ref, signal),
    async *list(signal): AsyncGenerator<Observed> {
      // Those of the pool are nobody's: paid for, cancelled, stopped.
      yield* (await readInstances(http, signal)).map(observe);
    },
    terminate: async (ref, signal) => await releaseInstance(http, ref, signal),
    billTerms: {
      grain: "none",
      lagMs: 0,
      tells: "account",
      hasManaged: false,
      says: "Contabo's API tells no invoices; they are in its customer panel.",
    },
    async check(signal) {
      const look = async (name: string, act: () => Promise<string>): Promise<AccountCheck> => {
        try {
          return { name, passed: true, says: await act() };
        } catch (error) {
          return {
            name,
            passed: false,
            says: error instanceof ProviderError ? error.failure.says : "Contabo could not be asked.",
          };
        }
      };
      return [
        await look("key", async () => {
          const all = await readInstances(http, signal);
          const free = all.filter((one) => one.name === poolName(installId)).length;
          return `The API user is taken; the account has ${all.length} machines, ${free} of them free in the pool.`;
        }),
        {
          name: "prices",
          passed: true,
          says:
            plans.length > 0
              ? `${plans.length} plans may be bought, at prices read on ${plans[0]?.readOn ?? ""}.`
              : "No plan was entered, so nothing is bought; machines that are there can be used.",
        },
      ];
    },
  };
}

function fromPool(one: Instance, now: number): Offer[] {
  if (one.goesAt !== undefined && one.goesAt - now < worthMs) return [];
  return [
    {
      ...common(one.region, now),
      id: `pool/${one.id}`,
      type: one.productId,
      cpus: one.cpus,
      memoryMb: Math.floor(one.memoryMb * 1.048576),
      diskMb: Math.floor(one.diskMb * 1.048576),
      // It is paid for.
      hourly: { micros: 0, currency: "EUR" },
      quantumMs: 1_000,
      minimumMs: 0,
      stock: "high",
      priceSource: "paid for already",
    },
  ];
}

const toOffer = (plan: ContaboPlan, region: string, now: number): Offer => ({
  ...common(region, now),
  id: `${region}/${plan.productId}`,
  type: plan.productId,
  cpus: plan.cpus,
  memoryMb: plan.memoryMb,
  diskMb: plan.diskMb,
  // A month's price comes out whole again over the month that is paid for.
  hourly: { micros: Math.ceil(plan.monthlyMicros / (monthMs / 3_600_000)), currency: plan.currency },
  quantumMs: monthMs,
  minimumMs: monthMs,
  stock: "unknown",
  priceSource: `entered by the owner, read on ${plan.readOn}`,
});

const common = (region: string, now: number) =>
  ({ provider: "contabo", form: "machine", region, isInEu: region === "EU", isSpot: false, pricedAt: now }) as const;

const isEnough = (offer: Offer, need: Need): boolean =>
  offer.cpus >= (need.cpus ?? 0) &&
  offer.memoryMb >= (need.memoryMb ?? 0) &&
  offer.diskMb >= (need.diskMb ?? 0) &&
  (!need.isInEu || offer.isInEu);
