/**
 * What parts of machines cost, from Google's own catalog: a machine is so many processors, so much memory and so many GPUs, each with a
 * price a region. Parts are known by how their descriptions begin. Read page by page (some 30,000 entries), kept for six hours.
 */
import { priceAgeMaxMs } from "../../../convex/model/budget.ts";
import { isRecord, numberOf, recordsIn, textOf } from "../record.ts";
import type { Rest } from "./rest.ts";

const keptMs = 6 * 3_600_000;
const services = { compute: "6F81-5844-456A", vertex: "C7E2-9256-1C43" } as const;
type Catalog = keyof typeof services;

/** How a machine is put together. */
export type Shape = {
  /** As SKUs call it: "G2", "N1 Predefined". */
  readonly family: string;
  readonly cpus: number;
  readonly memoryGib: number;
  readonly gpu?: { readonly name: string; readonly count: number };
};

export type Skus = {
  /** Micro-dollars an hour; undefined where a part has no price, which is no price of zero. */
  machine(shape: Shape, region: string, isSpot: boolean, signal: AbortSignal): Promise<number | undefined>;
  /** The same for a job of Vertex, whose fee is part of it. */
  training(shape: Shape, region: string, signal: AbortSignal): Promise<number | undefined>;
  /** When the catalog was read, in ms since 1970. */
  readAt(catalog: Catalog): number;
};

/** How the catalog calls GPUs, by our names. */
const gpuParts: Readonly<Record<string, RegExp>> = {
  L4: /^nvidia l4\b/,
  T4: /^nvidia tesla t4\b/,
  "A100-40": /^nvidia tesla a100(?! 80gb)\b/,
  "A100-80": /^nvidia (tesla )?a100 80gb\b/,
  H100: /^nvidia h100 80gb(?! (mega|plus))\b/,
};
const machinePart = /^(spot preemptible )?(.+) instance (core|ram) running in/;
const gpuPart = /^(nvidia .+?) gpu (attached to spot preemptible vms )?running in/;
const trainingPart = /^vertex ai: training\/pipelines (management fee )?on (spot )?(.+?) (?:running )?in [a-z]/;

/** What is kept of a catalog: by region and part. */
type Book = { readonly at: number; readonly prices: ReadonlyMap<string, number> };

export function openSkus(rest: Rest, base: string, now: () => number): Skus {
  const books = new Map<Catalog, Promise<Book>>();
  const readAt = new Map<Catalog, number>();

  async function bookOf(catalog: Catalog, signal: AbortSignal): Promise<Book> {
    const kept = books.get(catalog);
    if (kept && now() - (readAt.get(catalog) ?? 0) < keptMs) return await kept;
    const readBefore = readAt.get(catalog) ?? 0;
    const reading = read(catalog, signal).catch((error: unknown) => {
      readAt.set(catalog, readBefore);
      // What was read today is still today's price, and says when it was read.
      if (kept && now() - readBefore < priceAgeMaxMs && !signal.aborted) return kept;
      books.delete(catalog);
      throw error;
    });
    books.set(catalog, reading);
    readAt.set(catalog, now());
    return await reading;
  }

  async function read(catalog: Catalog, signal: AbortSignal): Promise<Book> {
    const prices = new Map<string, number>();
    for await (const page of rest.pages(`${base}/services/${services[catalog]}/skus?currencyCode=USD&pageSize=5000`, signal))
      for (const sku of recordsIn(page, "skus") ?? []) {
        const key = keyOf(textOf(sku["description"]).toLowerCase());
        const dollars = hourlyOf(sku);
        if (key === undefined || dollars === undefined) continue;
        for (const region of Array.isArray(sku["serviceRegions"]) ? sku["serviceRegions"] : [])
          prices.set(`${String(region)}/${key}`, Math.max(prices.get(`${String(region)}/${key}`) ?? 0, dollars));
      }
    return { at: now(), prices };
  }

  const sum = (parts: readonly (readonly [price: number | undefined, amount: number])[]): number | undefined =>
    parts.every(([price]) => price !== undefined)
      ? Math.round(parts.reduce((total, [price = 0, amount]) => total + price * amount, 0) * 1_000_000)
      : undefined;

  return {
    async machine({ family, cpus, memoryGib, gpu }, region, isSpot, signal) {
      const { prices } = await bookOf("compute", signal);
      const part = (name: string): number | undefined => prices.get(`${region}/${isSpot ? "spot " : ""}${name}`);
      const name = family.toLowerCase();
      return sum([
        [part(`${name} core`), cpus],
        [part(`${name} ram`), memoryGib],
        ...(gpu ? [[part(`gpu ${gpu.name}`), gpu.count] as const] : []),
      ]);
    },
    async training({ family, cpus, memoryGib, gpu }, region, signal) {
      const { prices } = await bookOf("vertex", signal);
      const part = (name: string): number | undefined => prices.get(`${region}/train ${name}`);
      const fee = (name: string): number | undefined => prices.get(`${region}/fee ${name}`);
      const name = family.toLowerCase();
      return sum([
        [part(`${name} core`), cpus],
        [part(`${name} ram`), memoryGib],
        [fee(`${name.replace(" predefined", "")} core`), cpus],
        [fee(`${name.replace(" predefined", "")} ram`), memoryGib],
        // The fee on a GPU is left out where there is none.
        ...(gpu ? [[part(`gpu ${gpu.name}`), gpu.count] as const, [fee(`gpu ${gpu.name}`) ?? 0, gpu.count] as const] : []),
      ]);
    },
    readAt: (catalog) => readAt.get(catalog) ?? now(),
  };
}

/** What a price is kept under; undefined for all that is not a part of a machine. `description` in small letters. */
function keyOf(description: string): string | undefined {
  const training = trainingPart.exec(description);
  if (training) {
    const [, fee, spot, part = ""] = training;
    if (spot !== undefined) return undefined;
    const kind = fee === undefined ? "train" : "fee";
    const machine = /^(.+) instance (core|ram)$/.exec(part);
    if (machine) return `${kind} ${machine[1]} ${machine[2]}`;
    const gpu = gpuOf(part);
    return gpu === undefined ? undefined : `${kind} gpu ${gpu}`;
  }
  const gpu = gpuPart.exec(description);
  if (gpu) {
    const name = gpuOf(gpu[1] ?? "");
    return name === undefined ? undefined : `${gpu[2] === undefined ? "" : "spot "}gpu ${name}`;
  }
  const machine = machinePart.exec(description);
  return machine ? `${machine[1] === undefined ? "" : "spot "}${machine[2]} ${machine[3]}` : undefined;
}

const gpuOf = (part: string): string | undefined => Object.keys(gpuParts).find((name) => gpuParts[name]?.test(part));

/** Dollars an hour; undefined for what is billed otherwise, and for the free first part of a scale. */
function hourlyOf(sku: Record<string, unknown>): number | undefined {
  const [info] = recordsIn(sku, "pricingInfo") ?? [];
  const expression = isRecord(info?.["pricingExpression"]) ? info["pricingExpression"] : {};
  if (!/^(GiBy\.)?h$/.test(textOf(expression["usageUnit"]))) return undefined;
  const prices = (recordsIn(expression, "tieredRates") ?? []).map((tier) => {
    const price = isRecord(tier["unitPrice"]) ? tier["unitPrice"] : {};
    return Number(textOf(price["units"]) || 0) + numberOf(price["nanos"]) / 1e9;
  });
  const most = Math.max(0, ...prices);
  return most > 0 ? most : undefined;
}
