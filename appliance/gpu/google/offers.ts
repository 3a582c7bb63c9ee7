/** What Compute Engine and Vertex AI let for a need, by kind of machine and zone, at the catalog's prices. */
import type { Need, Offer } from "../../../convex/model/gpu.ts";
import { ProviderError } from "../../../functions/ports/gpu.ts";
import { gpuName } from "../gpuName.ts";
import { failureOf } from "../http.ts";
import { numberOf, recordsIn, textOf } from "../record.ts";
import { lastPart } from "./compute.ts";
import { acrossZones, type Rest } from "./rest.ts";
import type { Shape, Skus } from "./skus.ts";

export type OfferOptions = {
  readonly rest: Rest;
  /** Up to and with the project. */
  readonly base: string;
  readonly skus: Skus;
  readonly regions: readonly string[];
  readonly hasTraining: boolean;
};

/** Of the European Union; London and Zurich are not. */
const euRegions: ReadonlySet<string> = new Set([
  "europe-west1",
  "europe-west3",
  "europe-west4",
  "europe-west8",
  "europe-west9",
  "europe-west10",
  "europe-west12",
  "europe-north1",
  "europe-north2",
  "europe-central2",
  "europe-southwest1",
]);
/** As SKUs call the families that are looked at. A3 and later are not: their price has parts (local disks, networks) not read here. */
const families: Readonly<Record<string, string>> = {
  g2: "G2",
  a2: "A2",
  n1: "N1 Predefined",
  n2: "N2",
  e2: "E2",
};
const withGpu = ["g2-standard-.+", "a2-.+", "n1-standard-(4|8|16)"];
const withoutGpu = ["e2-(standard|highmem)-.+", "n2-(standard|highmem)-.+"];
/** MB of each, which Google does not tell by API. */
const gpuMemoryMb: Readonly<Record<string, number>> = { L4: 24_000, T4: 16_000, "A100-40": 40_000, "A100-80": 80_000 };
const attachable = { type: "nvidia-tesla-t4", name: "T4", countMax: 4 };

/** A kind of machine where it stands. */
type Found = {
  readonly zone: string;
  readonly type: string;
  /** The same for Vertex, which wants GPUs named also where they come with the machine. */
  readonly jobType: string;
  readonly shape: Shape;
  readonly memoryMb: number;
};

export async function googleOffers(options: OfferOptions, need: Need, signal: AbortSignal): Promise<Offer[]> {
  const regions = new Set(options.regions.filter((region) => need.isInEu !== true || euRegions.has(region)));
  const found = (await machinesFor(options, need, regions, signal)).filter((one) => suits(one, need));
  const offers: Offer[] = [];
  const trained = new Set<string>();
  for (const one of found) {
    const region = regionOf(one.zone);
    for (const isSpot of need.maySpot === true ? [false, true] : [false]) {
      const micros = await options.skus.machine(one.shape, region, isSpot, signal);
      if (micros !== undefined)
        offers.push({
          ...common(one, region, need, options.skus.readAt("compute")),
          id: `${one.zone}/${one.type}${isSpot ? "/spot" : ""}`,
          form: "machine",
          zone: one.zone,
          isSpot,
          hourly: { micros, currency: "USD" },
          priceSource: "Google Cloud's catalog of prices",
        });
    }
    if (!options.hasTraining || trained.has(`${region}/${one.type}`)) continue;
    trained.add(`${region}/${one.type}`);
    const micros = await options.skus.training(one.shape, region, signal);
    if (micros !== undefined)
      offers.push({
        ...common(one, region, need, options.skus.readAt("vertex")),
        id: `${region}/vertex/${one.jobType}`,
        type: one.jobType,
        form: "managed",
        isSpot: false,
        hourly: { micros, currency: "USD" },
        priceSource: "Google Cloud's catalog of prices, Vertex AI with its fee",
      });
  }
  return offers.sort((a, b) => a.hourly.micros - b.hourly.micros);
}

const regionOf = (zone: string): string => zone.replace(/-[a-z]$/, "");

const common = (
  { type, shape, memoryMb }: Found,
  region: string,
  need: Need,
  pricedAt: number,
): Pick<
  Offer,
  | "provider"
  | "type"
  | "region"
  | "isInEu"
  | "gpu"
  | "cpus"
  | "memoryMb"
  | "diskMb"
  | "quantumMs"
  | "minimumMs"
  | "stock"
  | "pricedAt"
> => ({
  provider: "google",
  type,
  region,
  isInEu: euRegions.has(region),
  ...(shape.gpu ? { gpu: { ...shape.gpu, memoryMb: gpuMemoryMb[shape.gpu.name] ?? 0 } } : {}),
  cpus: shape.cpus,
  memoryMb,
  diskMb: need.diskMb ?? 100_000,
  quantumMs: 1_000,
  minimumMs: 60_000,
  stock: "unknown",
  pricedAt,
});

function suits({ shape, memoryMb }: Found, need: Need): boolean {
  if ((need.cpus ?? 0) > shape.cpus || (need.memoryMb ?? 0) > memoryMb) return false;
  if (!need.gpu) return shape.gpu === undefined;
  if (!shape.gpu || shape.gpu.count < need.gpu.count || (gpuMemoryMb[shape.gpu.name] ?? 0) < need.gpu.memoryMb) return false;
  return need.gpu.names === undefined || need.gpu.names.includes(shape.gpu.name);
}

async function machinesFor(
  { rest, base }: OfferOptions,
  need: Need,
  regions: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<Found[]> {
  if (regions.size === 0) return [];
  const patterns = need.gpu ? withGpu : withoutGpu;
  const filter = encodeURIComponent(`name eq "(${patterns.join("|")})"`);
  const attachableIn = need.gpu ? await zonesWith(rest, base, signal) : new Set<string>();
  const found: Found[] = [];
  for await (const page of rest.pages(`${base}/aggregated/machineTypes?filter=${filter}&maxResults=500`, signal))
    for (const machine of acrossZones(page, "machineTypes", incomplete)) {
      const name = textOf(machine["name"]);
      const zone = lastPart(textOf(machine["zone"]));
      const family = families[name.split("-")[0] ?? ""];
      // Disks that come along have a price of their own.
      if (family === undefined || !regions.has(regionOf(zone)) || machine["bundledLocalSsds"] !== undefined) continue;
      const mebibytes = numberOf(machine["memoryMb"]);
      const shape: Shape = { family, cpus: numberOf(machine["guestCpus"]), memoryGib: mebibytes / 1_024 };
      const rest = { zone, memoryMb: Math.floor(mebibytes * 1.048576) };
      const [own] = recordsIn(machine, "accelerators") ?? [];
      if (own) {
        const type = textOf(own["guestAcceleratorType"]);
        const count = numberOf(own["guestAcceleratorCount"]);
        const gpu = { name: gpuName(type, type.endsWith("80gb") ? 80_000 : 40_000), count };
        found.push({ ...rest, type: name, jobType: `${name}+${count}x${type}`, shape: { ...shape, gpu } });
      } else if (need.gpu) {
        const count = need.gpu.count;
        if (name.startsWith("n1-") && attachableIn.has(zone) && count <= attachable.countMax)
          found.push({
            ...rest,
            type: `${name}+${count}x${attachable.type}`,
            jobType: `${name}+${count}x${attachable.type}`,
            shape: { ...shape, gpu: { name: attachable.name, count } },
          });
      } else found.push({ ...rest, type: name, jobType: name, shape });
    }
  return found;
}

async function zonesWith(rest: Rest, base: string, signal: AbortSignal): Promise<Set<string>> {
  const zones = new Set<string>();
  const filter = encodeURIComponent(`name eq "${attachable.type}"`);
  for await (const page of rest.pages(`${base}/aggregated/acceleratorTypes?filter=${filter}`, signal))
    for (const one of acrossZones(page, "acceleratorTypes", incomplete)) zones.add(lastPart(textOf(one["zone"])));
  return zones;
}

const incomplete = (zone: string): ProviderError =>
  new ProviderError(failureOf("transient", "zone", `Google Cloud could not say what ${lastPart(zone)} has`));
