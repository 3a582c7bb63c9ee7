/** What RunPod lets, with the stock it tells: GPUs by data centre, processors where no GPU is wanted, and pools of serverless GPUs. */
import type { Need, Offer } from "../../../convex/model/gpu.ts";
import { ProviderError } from "../../../functions/ports/gpu.ts";
import { gpuName } from "../gpuName.ts";
import { failureOf, type Http } from "../http.ts";
import { isRecord, numberOf, recordsIn, textOf } from "../record.ts";
import { requestFailure } from "./failures.ts";

const second = 1_000;
/** Of a container, when nobody says how much; any size may be asked for. */
const diskMbDefault = 20_000;
const stocks: Readonly<Record<string, Offer["stock"]>> = { NONE: "none", LOW: "low", MEDIUM: "medium", HIGH: "high" };

/** Only its own data centres (`SECURE`): hosts of the community are somebody's machines, and what runs there is theirs to read. */
export async function listOffers(http: Http, need: Need, hasServerless: boolean, signal: AbortSignal): Promise<readonly Offer[]> {
  // Spot is no part of REST v2, so `maySpot` changes nothing.
  if (!need.gpu) return await processorOffers(http, need, signal);
  // The catalogue does not say how many processors and how much memory come with a GPU.
  if (need.cpus !== undefined || need.memoryMb !== undefined) return [];
  const pods = await gpuOffers(http, need, "POD", signal);
  const managed = hasServerless ? await gpuOffers(http, need, "SERVERLESS", signal) : [];
  return [...pods, ...managed].filter((offer) => !need.isInEu || offer.isInEu);
}

async function gpuOffers(http: Http, need: Need, product: "POD" | "SERVERLESS", signal: AbortSignal): Promise<Offer[]> {
  const { count = 1, memoryMb = 0, names } = need.gpu ?? {};
  const query = `include=AVAILABILITY&product=${product}&count=${count}&cloud=SECURE`;
  // A count that no machine has is a mistake to the vendor and no offer to us.
  if (count < 1 || count > 64) return [];
  const answer = await http.ask({ method: "GET", path: `/v2/catalog/gpus?${query}` }, signal, requestFailure);
  return entries(answer.body, "gpus").flatMap((type) => {
    const gpu = {
      name: gpuName(textOf(type.name), numberOf(type.memory) * 1_000),
      count,
      memoryMb: numberOf(type.memory) * 1_000,
    };
    const perGpu = isRecord(type.price) ? numberOf(product === "POD" ? type.price.secure : type.price.serverless) : 0;
    const largest = isRecord(type.maxCount) ? numberOf(type.maxCount.secure) : 0;
    const pool = textOf(type.pool);
    if (type.secure !== true || perGpu <= 0 || count > largest || gpu.memoryMb < memoryMb) return [];
    if (names && !names.includes(gpu.name)) return [];
    if (product === "SERVERLESS" && pool === "") return [];
    return (recordsIn(type, "dataCenters") ?? []).map((place): Offer => {
      const region = textOf(place.id);
      return {
        provider: "runpod",
        id: product === "POD" ? `${region}/${count}x${textOf(type.id)}` : `${region}/serverless/${count}x${textOf(type.id)}`,
        form: product === "POD" ? "container" : "managed",
        type: product === "POD" ? textOf(type.id) : pool,
        region,
        isInEu: isInEu(region),
        gpu,
        cpus: 0,
        memoryMb: 0,
        diskMb: need.diskMb ?? diskMbDefault,
        isSpot: false,
        hourly: usd(perGpu * count),
        quantumMs: second,
        minimumMs: second,
        stock: stocks[textOf(place.availability)] ?? "unknown",
        pricedAt: http.now(),
        priceSource: "api.runpod.io/v2/catalog/gpus",
      };
    });
  });
}

async function processorOffers(http: Http, need: Need, signal: AbortSignal): Promise<Offer[]> {
  // Counts are powers of two from 2 on.
  const wanted = 2 ** Math.max(1, Math.ceil(Math.log2(Math.max(2, need.cpus ?? 2))));
  const answer = await http.ask(
    { method: "GET", path: `/v2/catalog/cpus?include=AVAILABILITY&product=POD&vcpuCount=${wanted}` },
    signal,
    requestFailure,
  );
  return entries(answer.body, "cpus").flatMap((type) => {
    const range = isRecord(type.vcpu) ? type.vcpu : {};
    const memoryMb = Math.floor(numberOf(type.ramGbPerVcpu) * wanted * 1_000);
    const price = isRecord(type.price) ? numberOf(type.price.securePerVcpu) : 0;
    if (price <= 0 || wanted > numberOf(range.max) || memoryMb < (need.memoryMb ?? 0)) return [];
    return (recordsIn(type, "dataCenters") ?? [])
      .map((place): Offer => ({
        provider: "runpod",
        id: `${textOf(place.id)}/${wanted}x${textOf(type.id)}`,
        form: "container",
        type: textOf(type.id),
        region: textOf(place.id),
        isInEu: isInEu(textOf(place.id)),
        cpus: wanted,
        memoryMb,
        diskMb: need.diskMb ?? diskMbDefault,
        isSpot: false,
        hourly: usd(price * wanted),
        quantumMs: second,
        minimumMs: second,
        stock: stocks[textOf(place.availability)] ?? "unknown",
        pricedAt: http.now(),
        priceSource: "api.runpod.io/v2/catalog/cpus",
      }))
      .filter((offer) => !need.isInEu || offer.isInEu);
  });
}

export const usd = (dollars: number): Offer["hourly"] => ({ micros: Math.round(dollars * 1_000_000), currency: "USD" });

/** "EU-RO-1" is in the Union; "EUR-IS-1" and "EUR-NO-1" are in Europe and not in it. */
const isInEu = (region: string): boolean => region.startsWith("EU-");

function entries(body: unknown, name: string): Record<string, unknown>[] {
  const list = recordsIn(body, name);
  if (!list)
    throw new ProviderError(failureOf("transient", "provider", "RunPod answered with something else than its catalogue"));
  return list;
}
