/** What Azure lets for a need: kinds of machines by what the subscription may have, at the public list of retail prices. */
import { priceAgeMaxMs } from "../../../convex/model/budget.ts";
import type { Need, Offer } from "../../../convex/model/gpu.ts";
import { ProviderError } from "../../../functions/ports/gpu.ts";
import type { Http } from "../http.ts";
import { isRecord, numberOf, recordsIn, textOf } from "../record.ts";
import { versions, type Arm } from "./arm.ts";
import { azureFailure } from "./failures.ts";

export type OfferOptions = {
  readonly arm: Arm;
  readonly prices: Prices;
  readonly subscription: string;
  readonly regions: readonly string[];
  /** Where the workspace is that runs jobs; absent: none. */
  readonly learningIn: string | undefined;
};

/** Of the European Union; Norway, Switzerland and the United Kingdom are not. */
const euRegions: ReadonlySet<string> = new Set([
  "westeurope",
  "northeurope",
  "francecentral",
  "francesouth",
  "germanywestcentral",
  "germanynorth",
  "swedencentral",
  "swedensouth",
  "italynorth",
  "polandcentral",
  "spaincentral",
  "austriaeast",
  "belgiumcentral",
  "denmarkeast",
]);

/** Azure tells how many GPUs and not which: their name is part of the machine's. MB of each. Parts of a GPU (smaller NVads) are left out. */
const gpus: readonly (readonly [RegExp, string, number])[] = [
  [/^Standard_NC\d+as_T4_v3$/, "T4", 16_000],
  [/^Standard_NV(36|72)ad(m)?s_A10_v5$/, "A10", 24_000],
  [/^Standard_NC\d+ads_A100_v4$/, "A100-80", 80_000],
  [/^Standard_ND\d+asr_v4$/, "A100-40", 40_000],
  [/^Standard_ND\d+amsr_A100_v4$/, "A100-80", 80_000],
  [/^Standard_NC\d+adi?s_H100_v5$/, "H100", 94_000],
  [/^Standard_ND\d+isr_H100_v5$/, "H100", 80_000],
  [/^Standard_ND\d+isr_H200_v5$/, "H200", 141_000],
];
const plain = /^Standard_(D|E|F)\d+a?d?s_v5$/;

type Kind = Pick<Offer, "type" | "gpu" | "cpus" | "memoryMb"> & { readonly maySpot: boolean };

export async function azureOffers(options: OfferOptions, need: Need, signal: AbortSignal): Promise<Offer[]> {
  const regions = options.regions.filter((region) => need.isInEu !== true || euRegions.has(region));
  const found = await Promise.all(regions.map((region) => offersIn(options, need, region, signal)));
  return found.flat().sort((a, b) => a.hourly.micros - b.hourly.micros);
}

async function offersIn(
  { arm, prices, subscription, learningIn }: OfferOptions,
  need: Need,
  region: string,
  signal: AbortSignal,
): Promise<Offer[]> {
  const kinds = (await kindsIn(arm, subscription, region, signal)).filter((kind) => suits(kind, need));
  const priced = await prices.of(
    region,
    kinds.map(({ type }) => type),
    signal,
  );
  return kinds.flatMap((kind) => {
    const price = priced.get(kind.type);
    if (!price) return [];
    const { maySpot, ...shape } = kind;
    const common = {
      provider: "azure" as const,
      ...shape,
      region,
      isInEu: euRegions.has(region),
      diskMb: need.diskMb ?? 100_000,
      // As its price list counts: begun minutes of use, billed by the hour's fraction.
      quantumMs: 60_000,
      minimumMs: 60_000,
      stock: "unknown" as const,
      pricedAt: price.at,
      priceSource: "Azure retail prices",
    };
    const offers: Offer[] = [];
    const add = (rest: Pick<Offer, "id" | "form" | "isSpot" | "hourlyMax">, micros: number | undefined): void => {
      if (micros !== undefined) offers.push({ ...common, ...rest, hourly: { micros, currency: "USD" } });
    };
    // A spot machine without a highest price of ours (-1) costs at most what the same costs always.
    const hourlyMax = price.micros === undefined ? {} : { hourlyMax: { micros: price.micros, currency: "USD" as const } };
    add({ id: `${region}/${kind.type}`, form: "machine", isSpot: false }, price.micros);
    if (need.maySpot === true && maySpot)
      add({ id: `${region}/${kind.type}/spot`, form: "machine", isSpot: true, ...hourlyMax }, price.spotMicros);
    // Jobs cost what their machines cost.
    if (learningIn === region) add({ id: `${region}/job/${kind.type}`, form: "managed", isSpot: false }, price.micros);
    return offers;
  });
}

function suits({ gpu, cpus, memoryMb }: Kind, need: Need): boolean {
  if ((need.cpus ?? 0) > cpus || (need.memoryMb ?? 0) > memoryMb) return false;
  if (!need.gpu) return gpu === undefined;
  if (!gpu || gpu.count < need.gpu.count || gpu.memoryMb < need.gpu.memoryMb) return false;
  return need.gpu.names === undefined || need.gpu.names.includes(gpu.name);
}

/** Kinds of machines that the subscription may have in a region. */
export async function kindsIn(arm: Arm, subscription: string, region: string, signal: AbortSignal): Promise<Kind[]> {
  const filter = encodeURIComponent(`location eq '${region}'`);
  const kinds: Kind[] = [];
  for await (const sku of arm.all(
    `${subscription}/providers/Microsoft.Compute/skus?$filter=${filter}&api-version=${versions.skus}`,
    signal,
  )) {
    const isBarred = (recordsIn(sku, "restrictions") ?? []).some((one) => one["type"] === "Location");
    if (sku["resourceType"] !== "virtualMachines" || isBarred) continue;
    const has = new Map((recordsIn(sku, "capabilities") ?? []).map((one) => [textOf(one["name"]), textOf(one["value"])]));
    const type = textOf(sku["name"]);
    const count = Number(has.get("GPUs") ?? 0);
    const [, name, memoryMb] = gpus.find(([pattern]) => pattern.test(type)) ?? [];
    if (count > 0 ? name === undefined : !plain.test(type)) continue;
    kinds.push({
      type,
      ...(count > 0 && name !== undefined && memoryMb !== undefined ? { gpu: { name, count, memoryMb } } : {}),
      cpus: Number(has.get("vCPUs") ?? 0),
      memoryMb: Math.floor(Number(has.get("MemoryGB") ?? 0) * 1_073.741824),
      maySpot: has.get("LowPriorityCapable") === "True",
    });
  }
  return kinds;
}

export type Price = { readonly micros?: number; readonly spotMicros?: number; readonly at: number };
export type Prices = {
  /** Dollars an hour in micro-units, by kind of machine. */
  of(region: string, types: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, Price>>;
};

const keptMs = 6 * 3_600_000;
/** Names in one question, so that its address stays short. */
const typesAtOnce = 15;

/** The list is public and needs no key. */
export function openPrices(http: Http, origin: string, now: () => number): Prices {
  const kept = new Map<string, Price>();
  return {
    async of(region, types, signal) {
      const wanted = types.filter((type) => now() - (kept.get(`${region}/${type}`)?.at ?? -keptMs) >= keptMs);
      for (let at = 0; at < wanted.length; at += typesAtOnce) {
        const some = wanted.slice(at, at + typesAtOnce);
        const filter = `serviceName eq 'Virtual Machines' and priceType eq 'Consumption' and armRegionName eq '${region}' and (${some
          .map((type) => `armSkuName eq '${type}'`)
          .join(" or ")})`;
        const found = new Map<string, { micros?: number; spotMicros?: number }>();
        try {
          for (let next = `${origin}/api/retail/prices?$filter=${encodeURIComponent(filter)}`; next !== "";) {
            const sent = await http.send({ method: "GET", path: next, isBare: true }, signal);
            if (sent.type === "none") throw new ProviderError(sent.failure);
            if (sent.answer.status >= 300) throw new ProviderError(azureFailure(sent.answer));
            for (const item of recordsIn(sent.answer.body, "Items") ?? []) note(found, item);
            next = isRecord(sent.answer.body) ? textOf(sent.answer.body["NextPageLink"]) : "";
          }
        } catch (error) {
          signal.throwIfAborted();
          // What was read today is still today's price, and says when it was read.
          const isToday = (type: string): boolean => now() - (kept.get(`${region}/${type}`)?.at ?? 0) < priceAgeMaxMs;
          if (!some.every(isToday)) throw error;
          continue;
        }
        for (const type of some) kept.set(`${region}/${type}`, { ...found.get(type), at: now() });
      }
      return new Map(
        types.flatMap((type) => (kept.has(`${region}/${type}`) ? [[type, kept.get(`${region}/${type}`) as Price]] : [])),
      );
    },
  };
}

/** One name stands for Linux and Windows, on demand, spot and the older low priority; what is not Linux is left out. */
function note(found: Map<string, { micros?: number; spotMicros?: number }>, item: Record<string, unknown>): void {
  const words = `${textOf(item["productName"])} ${textOf(item["skuName"])} ${textOf(item["meterName"])}`;
  if (/Windows|Low Priority|Cloud Services|Dedicated Host/i.test(words) || textOf(item["unitOfMeasure"]) !== "1 Hour") return;
  const type = textOf(item["armSkuName"]);
  const micros = Math.round(numberOf(item["retailPrice"]) * 1_000_000);
  if (micros <= 0) return;
  const price = found.get(type) ?? {};
  const name = /Spot/.test(words) ? "spotMicros" : "micros";
  found.set(type, { ...price, [name]: Math.max(price[name] ?? 0, micros) });
}
