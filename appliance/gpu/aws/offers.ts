/** What EC2 and SageMaker let for a need: kinds of machines by what they have, where they are, and what they cost now. */
import type { InstanceTypeInfo, _InstanceType } from "@aws-sdk/client-ec2";
import type { Need, Offer } from "../../../convex/model/gpu.ts";
import { gpuName } from "../gpuName.ts";
import { pages, type Ec2 } from "./ec2.ts";
import type { Prices } from "./prices.ts";

const megabytes = (mebibytes: number | undefined): number => Math.floor((mebibytes ?? 0) * 1.048576);
/** Of the European Union; London and Zurich are not. */
const euRegions: ReadonlySet<string> = new Set([
  "eu-central-1",
  "eu-west-1",
  "eu-west-3",
  "eu-north-1",
  "eu-south-1",
  "eu-south-2",
  "eusc-de-east-1",
]);

/** What of a kind of machine counts here. */
type Kind = Pick<Offer, "type" | "gpu" | "cpus" | "memoryMb"> & { readonly maySpot: boolean };

export type OfferOptions = {
  readonly ec2: Ec2;
  readonly prices: Prices;
  readonly regions: readonly string[];
  readonly hasTraining: boolean;
  readonly now: () => number;
};

export async function awsOffers(rest: OfferOptions, need: Need, signal: AbortSignal): Promise<Offer[]> {
  const regions = rest.regions.filter((region) => need.isInEu !== true || euRegions.has(region));
  const found = await Promise.all(regions.map((region) => offersIn({ need, region, ...rest }, signal)));
  return found.flat().sort((a, b) => a.hourly.micros - b.hourly.micros);
}

async function offersIn(
  { ec2, prices, need, region, hasTraining, now }: OfferOptions & { readonly need: Need; readonly region: string },
  signal: AbortSignal,
): Promise<Offer[]> {
  const kinds = (await kindsIn(ec2, region, need, signal)).filter((kind) => suits(kind, need));
  if (kinds.length === 0) return [];
  const names = kinds.map(({ type }) => type);
  const [zones, listed, spot, training] = await Promise.all([
    zonesOf(ec2, region, names, signal),
    prices.onDemand(region, names, signal),
    need.maySpot === true ? spotPrices({ ec2, region, now }, names, signal) : [],
    hasTraining
      ? prices.training(
          region,
          names.map((name) => `ml.${name}`),
          signal,
        )
      : undefined,
  ]);
  const at = (
    kind: Kind,
    zone: string | undefined,
    type: string,
  ): Omit<Offer, "id" | "form" | "isSpot" | "hourly" | "pricedAt" | "priceSource"> => ({
    provider: "aws",
    type,
    region,
    ...(zone === undefined ? {} : { zone }),
    isInEu: euRegions.has(region),
    ...(kind.gpu ? { gpu: kind.gpu } : {}),
    cpus: kind.cpus,
    memoryMb: kind.memoryMb,
    diskMb: need.diskMb ?? 100_000,
    quantumMs: 1_000,
    minimumMs: 60_000,
    stock: "unknown",
  });
  const offers: Offer[] = [];
  for (const kind of kinds) {
    const { type } = kind;
    const price = listed.get(type);
    for (const zone of zones.get(type) ?? []) {
      if (price)
        offers.push({
          ...at(kind, zone, type),
          id: `${zone}/${type}`,
          form: "machine",
          isSpot: false,
          hourly: { micros: price.micros, currency: "USD" },
          pricedAt: price.pricedAt,
          priceSource: price.source,
        });
      const now = kind.maySpot ? spot.find((one) => one.type === type && one.zone === zone) : undefined;
      if (now)
        offers.push({
          ...at(kind, zone, type),
          id: `${zone}/${type}/spot`,
          form: "machine",
          isSpot: true,
          hourly: { micros: now.micros, currency: "USD" },
          // Asked for without a highest price, as AWS advises, it ends at the price of the same on demand.
          ...(price && { hourlyMax: { micros: price.micros, currency: "USD" as const } }),
          pricedAt: now.at,
          priceSource: "AWS spot price history",
        });
    }
    const managed = training?.get(`ml.${type}`);
    if (managed)
      offers.push({
        ...at(kind, undefined, `ml.${type}`),
        id: `${region}/ml.${type}`,
        form: "managed",
        isSpot: false,
        hourly: { micros: managed.micros, currency: "USD" },
        pricedAt: managed.pricedAt,
        priceSource: managed.source,
      });
  }
  return offers;
}

/** Families that are looked at: all with a GPU, or a few plain ones, each of the newest that every region has. */
const gpuFamilies = ["g*", "p*"];
const plainFamilies = ["m7i.*", "c7i.*", "r7i.*"];

async function kindsIn(ec2: Ec2, region: string, need: Need, signal: AbortSignal): Promise<Kind[]> {
  const filters = [
    { Name: "instance-type", Values: need.gpu ? gpuFamilies : plainFamilies },
    { Name: "processor-info.supported-architecture", Values: ["x86_64"] },
  ];
  const kinds: Kind[] = [];
  for await (const page of pages((next) =>
    ec2.ask(
      region,
      (client, sdk, options) =>
        client.send(new sdk.DescribeInstanceTypesCommand({ Filters: filters, MaxResults: 100, ...next }), options),
      signal,
    ),
  ))
    kinds.push(...(page.InstanceTypes ?? []).flatMap(kindOf));
  return kinds;
}

function kindOf(info: InstanceTypeInfo): Kind[] {
  const [gpu] = info.GpuInfo?.Gpus ?? [];
  // Some kinds have part of a GPU, which is none; AMD's do not run what is sent out.
  if (gpu && (gpu.Manufacturer !== "NVIDIA" || (gpu.Count ?? 0) < 1)) return [];
  const memoryMb = megabytes(gpu?.MemoryInfo?.SizeInMiB);
  return [
    {
      type: info.InstanceType ?? "",
      ...(gpu ? { gpu: { name: gpuName(gpu.Name ?? "", memoryMb), count: gpu.Count ?? 1, memoryMb } } : {}),
      cpus: info.VCpuInfo?.DefaultVCpus ?? 0,
      memoryMb: megabytes(info.MemoryInfo?.SizeInMiB),
      maySpot: info.SupportedUsageClasses?.includes("spot") ?? false,
    },
  ];
}

function suits({ gpu, cpus, memoryMb }: Kind, need: Need): boolean {
  if ((need.cpus ?? 0) > cpus || (need.memoryMb ?? 0) > memoryMb) return false;
  if (!need.gpu) return gpu === undefined;
  if (!gpu || gpu.count < need.gpu.count || gpu.memoryMb < need.gpu.memoryMb) return false;
  return need.gpu.names === undefined || need.gpu.names.includes(gpu.name);
}

async function zonesOf(
  ec2: Ec2,
  region: string,
  types: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const zones = new Map<string, string[]>();
  for await (const page of pages((next) =>
    ec2.ask(
      region,
      (client, sdk, options) =>
        client.send(
          new sdk.DescribeInstanceTypeOfferingsCommand({
            LocationType: "availability-zone",
            Filters: [{ Name: "instance-type", Values: [...types] }],
            ...next,
          }),
          options,
        ),
      signal,
    ),
  ))
    for (const { InstanceType: type, Location: zone } of page.InstanceTypeOfferings ?? [])
      if (type !== undefined && zone !== undefined) zones.set(type, [...(zones.get(type) ?? []), zone].sort());
  return zones;
}

type SpotPrice = { readonly type: string; readonly zone: string; readonly micros: number; readonly at: number };

/** From now on means: the price of each zone as it stands. */
async function spotPrices(
  { ec2, region, now }: { readonly ec2: Ec2; readonly region: string; readonly now: () => number },
  types: readonly string[],
  signal: AbortSignal,
): Promise<readonly SpotPrice[]> {
  const newest = new Map<string, SpotPrice & { readonly since: number }>();
  for await (const page of pages((next) =>
    ec2.ask(
      region,
      (client, sdk, options) =>
        client.send(
          new sdk.DescribeSpotPriceHistoryCommand({
            StartTime: new Date(now()),
            ProductDescriptions: ["Linux/UNIX"],
            InstanceTypes: types as _InstanceType[],
            ...next,
          }),
          options,
        ),
      signal,
    ),
  ))
    for (const one of page.SpotPriceHistory ?? []) {
      const type = one.InstanceType ?? "";
      const zone = one.AvailabilityZone ?? "";
      const since = one.Timestamp?.getTime() ?? 0;
      const micros = Math.round(Number(one.SpotPrice ?? 0) * 1_000_000);
      if (micros > 0 && since >= (newest.get(`${zone}/${type}`)?.since ?? 0))
        newest.set(`${zone}/${type}`, { type, zone, micros, at: now(), since });
    }
  return [...newest.values()];
}
