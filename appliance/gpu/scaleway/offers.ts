/** What Scaleway lets in its zones. All of them are in the Union. Prices are of the machine; its disk is billed beside it. */
import type { Need, Offer } from "../../../convex/model/gpu.ts";
import { gpuName } from "../gpuName.ts";
import type { Scaleway } from "./sdk.ts";
import { paged } from "./pages.ts";

const stocks: Readonly<Record<string, Offer["stock"]>> = { available: "high", scarce: "low", shortage: "none" };
/** A GPU is billed by the minute, other machines by the hour. */
const [minute, hour] = [60_000, 3_600_000];
const diskMbDefault = 40_000;

export async function zoneOffers({ instance }: Scaleway, zone: string, need: Need, now: number): Promise<Offer[]> {
  const types = await paged(async (page) => {
    const { servers, totalCount } = await instance.listServersTypes({ zone, page, perPage: 100 });
    return { entries: Object.entries(servers), totalCount };
  });
  const stock = new Map(
    await paged(async (page) => {
      const { servers, totalCount } = await instance.getServerTypesAvailability({ zone, page, perPage: 100 });
      return { entries: Object.entries(servers), totalCount };
    }),
  );
  return types.flatMap(([type, it]): Offer[] => {
    const count = it.gpu ?? 0;
    const memoryMb = Math.floor(it.ram / 1e6);
    const gpuMemoryMb = Math.floor((it.gpuInfo?.gpuMemory ?? 0) / 1e6);
    const gpu =
      count > 0 && it.gpuInfo ? { name: gpuName(it.gpuInfo.gpuName, gpuMemoryMb), count, memoryMb: gpuMemoryMb } : undefined;
    if (it.arch !== "x86_64" || it.endOfService || type.endsWith("-WIN")) return [];
    if (need.gpu ? !gpu || !isEnough(gpu, need.gpu) : gpu !== undefined) return [];
    if (it.ncpus < (need.cpus ?? 0) || memoryMb < (need.memoryMb ?? 0)) return [];
    return [
      {
        provider: "scaleway",
        id: `${zone}/${type}`,
        form: "machine",
        type,
        region: zone.replace(/-\d+$/, ""),
        zone,
        isInEu: true,
        ...(gpu && { gpu }),
        cpus: it.ncpus,
        memoryMb,
        diskMb: need.diskMb ?? diskMbDefault,
        isSpot: false,
        hourly: { micros: Math.round(it.hourlyPrice * 1e6), currency: "EUR" },
        quantumMs: gpu ? minute : hour,
        minimumMs: gpu ? minute : hour,
        stock: stocks[stock.get(type)?.availability ?? ""] ?? "unknown",
        pricedAt: now,
        priceSource: `api.scaleway.com/instance/v1/zones/${zone}/products/servers`,
      },
    ];
  });
}

const isEnough = (gpu: NonNullable<Offer["gpu"]>, need: NonNullable<Need["gpu"]>): boolean =>
  gpu.count >= need.count && gpu.memoryMb >= need.memoryMb && (!need.names || need.names.includes(gpu.name));
