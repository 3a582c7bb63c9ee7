/** Scaleway: machines in Paris, Amsterdam and Warsaw, by its own client. No spot, no timers; see docs/gpuProviders.md. */
import type { AccountCheck, Capability, Observed } from "../../../convex/model/gpu.ts";
import { ProviderError, type Provider } from "../../../functions/ports/gpu.ts";
import { failureOf, openHttp, type HttpOptions } from "../http.ts";
import { readBill, scalewayBill } from "./bill.ts";
import { endKeys, makeEndKey } from "./endKeys.ts";
import { zoneOffers } from "./offers.ts";
import { paged } from "./pages.ts";
import { missedOf, openScaleway, type Scaleway, type ScalewayCredentials } from "./sdk.ts";
import { createServer, describeServer, listZone, terminateServer, type Making } from "./servers.ts";

export type ScalewayOptions = {
  readonly credentials: () => Promise<ScalewayCredentials>;
  readonly now: () => number;
  /** Where machines are looked for. Default: everywhere, so that nothing is out of sight. */
  readonly zones?: readonly string[];
  readonly image?: Making["image"];
  /** An IAM application whose keys may end servers of the project; without one, machines cannot end themselves. */
  readonly endApplicationId?: string;
  readonly journal?: HttpOptions["journal"];
  readonly url?: string;
};

/** As its docs of August 2026 say. */
const capability: Capability = {
  form: ["machine"],
  // A half-made server is found by its tag, as soon as lists show it and no sooner.
  createIs: "notOnce",
  hasTags: true,
  hasSpot: false,
  // It stands by, and is paid for.
  shutdownEndsBill: "no",
  hasTtl: false,
  deletesItself: "scopedKey",
  listLagMs: 10_000,
  noticeMs: 0,
  // Of one value of user data.
  bootBytesMax: 127_998,
};

const allZones = ["fr-par-1", "fr-par-2", "fr-par-3", "nl-ams-1", "nl-ams-2", "nl-ams-3", "pl-waw-1", "pl-waw-2", "pl-waw-3"];

export function scaleway(options: ScalewayOptions): Provider {
  const { now, endApplicationId, zones = allZones, url = "https://api.scaleway.com" } = options;
  const image = options.image ?? { gpu: "ubuntu_noble_gpu_os_13_nvidia", plain: "ubuntu_noble" };
  let secrets: readonly string[] = [];
  const http = openHttp({
    vendor: "Scaleway",
    url,
    now,
    // It does not publish a limit; a sweep of nine zones is 27 requests.
    pace: { burst: 120, perMinute: 300 },
    secrets: () => secrets,
    ...(options.journal && { journal: options.journal }),
  });
  /** What is thrown in there comes out as `ProviderError`. */
  const using = async <T>(
    signal: AbortSignal,
    act: (api: Scaleway, credentials: ScalewayCredentials) => Promise<T>,
  ): Promise<T> => {
    const credentials = await options.credentials();
    secrets = [credentials.secretKey];
    try {
      return await act(await openScaleway({ http, url, credentials }, signal), credentials);
    } catch (error) {
      if (error instanceof ProviderError) throw error;
      throw new ProviderError(missedOf(error, { now: now() }).failure, { cause: error });
    }
  };

  return {
    id: "scaleway",
    capability,
    offers: async (need, signal) =>
      await using(signal, async (api) => {
        const offers = await Promise.all(zones.map(async (zone) => await zoneOffers(api, zone, need, now())));
        return offers.flat();
      }),
    async create(intent, signal) {
      const bytes = Buffer.byteLength(intent.boot);
      if (bytes > capability.bootBytesMax)
        return {
          type: "failed",
          failure: failureOf("invalid", "type", `The boot script has ${bytes} bytes; Scaleway takes ${capability.bootBytesMax}`),
        };
      try {
        return await using(signal, async (api) => await createServer({ api, now: now(), image }, intent));
      } catch (error) {
        // Nothing had left yet: credentials or the client were not to be had.
        if (error instanceof ProviderError) return { type: "failed", failure: error.failure };
        throw error;
      }
    },
    describe: async (ref, signal) => await using(signal, async (api) => await describeServer(api, ref, now())),
    async *list(signal): AsyncGenerator<Observed> {
      const all = await using(signal, async (api) => await Promise.all(zones.map(async (zone) => await listZone(api, zone))));
      yield* all.flat();
    },
    terminate: async (ref, signal) =>
      await using(
        signal,
        async (api) =>
          await terminateServer(api, ref, endApplicationId === undefined ? undefined : endKeys(api, endApplicationId)),
      ),
    pushSshKey: async ({ name, publicKey }, signal) =>
      await using(signal, async ({ iam }, { projectId }) => {
        const known = await sshKeys({ iam }, projectId);
        if (known.some((key) => bare(key.publicKey) === bare(publicKey))) return;
        await iam.createSSHKey({ name, publicKey, projectId });
      }),
    endKey: async (machine, signal) =>
      endApplicationId === undefined
        ? undefined
        : await using(signal, async (api) => await makeEndKey(api, endApplicationId, machine)),
    async check(signal) {
      const look = async (
        name: string,
        act: (api: Scaleway, credentials: ScalewayCredentials) => Promise<string>,
      ): Promise<AccountCheck> => {
        try {
          return { name, passed: true, says: await using(signal, act) };
        } catch (error) {
          return {
            name,
            passed: false,
            says: error instanceof ProviderError ? error.failure.says : "Scaleway could not be asked.",
          };
        }
      };
      return [
        await look("key", async (api) => {
          const counts = await Promise.all(zones.map(async (zone) => (await listZone(api, zone)).length));
          return `The key reads servers and disks in ${zones.length} zones; there are ${counts.reduce((sum, one) => sum + one, 0)}.`;
        }),
        await look(
          "ssh",
          async (api, { projectId }) => `The key reads the project's SSH keys: ${(await sshKeys(api, projectId)).length}.`,
        ),
        await look("stock", async (api) => {
          const need = { gpu: { count: 1, memoryMb: 0 } };
          const offers = (await Promise.all(zones.map(async (zone) => await zoneOffers(api, zone, need, now())))).flat();
          return `${offers.length} kinds and places of GPUs are offered, ${offers.filter(({ stock }) => stock !== "none").length} of them in stock.`;
        }),
      ];
    },
    billTerms: scalewayBill,
    async bill(periods, signal) {
      const credentials = await options.credentials();
      secrets = [credentials.secretKey];
      return await readBill(http, credentials, periods, signal);
    },
  };
}

async function sshKeys({ iam }: Pick<Scaleway, "iam">, projectId: string): Promise<{ readonly publicKey: string }[]> {
  return await paged(async (page) => {
    const read = await iam.listSSHKeys({ projectId, page, pageSize: 100 });
    return { entries: read.sshKeys, totalCount: read.totalCount };
  });
}

/** The comment at a key's end is no part of it. */
const bare = (key: string): string => key.trim().split(/\s+/).slice(0, 2).join(" ");
