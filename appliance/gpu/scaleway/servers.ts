/**
 * Servers of Scaleway. Making one takes four requests and there is no token, so identity is on it from the first one and a half-made one
 * is gone on with. Ending one takes three: its disk and its address outlive it. A disk bears the machine's name, for when the server that
 * it belonged to is no more; a reference therefore holds zone and name.
 */
import {
  parseMachineName,
  parsePriceTag,
  priceTag,
  type CreateResult,
  type MachineIntent,
  type Observed,
  type Ref,
  type Satellite,
} from "../../../convex/model/gpu.ts";
import { ProviderError } from "../../../functions/ports/gpu.ts";
import { paged } from "./pages.ts";
import { missedOf, type Scaleway } from "./sdk.ts";

type Server = NonNullable<Awaited<ReturnType<Scaleway["instance"]["getServer"]>>["server"]>;
export type Making = {
  readonly api: Scaleway;
  readonly now: number;
  /** Labels of the images that machines with and without GPU boot from. */
  readonly image: { readonly gpu: string; readonly plain: string };
};

const states: Readonly<Record<string, Observed["state"]>> = {
  starting: "booting",
  running: "running",
  // Shut down from inside, it stands by at full price.
  "stopped in place": "stopped",
  stopped: "stopped",
  stopping: "ending",
  locked: "stopped",
};

export async function createServer({ api, now, image }: Making, intent: MachineIntent): Promise<CreateResult> {
  const { offer } = intent;
  const zone = offer.zone ?? offer.region;
  const hide = [intent.boot, ...intent.boot.split("\n")];
  let ref: Ref | undefined;
  try {
    let server = await findHalfMade(api, zone, intent);
    if (!server) {
      const made = await api.instance.createServer({
        zone,
        name: intent.name,
        commercialType: offer.type,
        image: offer.gpu ? image.gpu : image.plain,
        dynamicIpRequired: true,
        protected: false,
        tags: tagsOf(intent),
        volumes: {
          // Without the type the size is of a local disk, which GPU machines do not have.
          0: { name: intent.name, size: Math.ceil(intent.diskMb / 1_000) * 1e9, volumeType: "sbs_volume", boot: true },
        },
      });
      server = made.server;
    }
    if (!server) throw new Error("no server in the answer");
    ref = refOf(server);
    if (server.state === "stopped") {
      await api.instance.setServerUserData({
        zone,
        serverId: server.id,
        key: "cloud-init",
        content: intent.boot,
      });
      await api.instance.serverAction({ zone, serverId: server.id, action: "poweron" });
    }
    const observed = fromServer(server);
    return { type: "created", observed: { ...observed, state: observed.state === "stopped" ? "booting" : observed.state } };
  } catch (error) {
    if (error instanceof ProviderError) return { type: ref ? "unknown" : "failed", failure: error.failure, ...(ref && { ref }) };
    const { failure, mayHaveArrived } = missedOf(error, { now, hide });
    // What was made and does not start is stopped, and paid for: whoever asked must see it gone.
    if (ref) return { type: "unknown", failure, ref };
    return { type: mayHaveArrived ? "unknown" : "failed", failure };
  }
}

/** What an earlier call for this machine has left, whatever state it is in. */
async function findHalfMade(api: Scaleway, zone: string, intent: MachineIntent): Promise<Server | undefined> {
  const { servers } = await api.instance.listServers({ zone, tags: [`nika-machine=${intent.machineId}`], perPage: 10 });
  return servers.find((one) => one.tags.includes(`nika-install=${intent.installId}`) && one.state !== "stopping");
}

/** What ended with its machine's key still there is not at its end. */
export type Keys = {
  /** Those made for a machine of this name. */
  of(name: string): Promise<string[]>;
  remove(accessKey: string): Promise<unknown>;
};

export async function describeServer(api: Scaleway, ref: Ref, now: number): Promise<Observed | undefined> {
  const { zone, name } = placeOf(ref);
  const server = await unlessGone(async () => (await api.instance.getServer({ zone, serverId: ref.id })).server, now);
  if (server) return fromServer(server);
  const left = await leftOf(api, zone, name);
  return left.length > 0 ? fromLeft(zone, name, left, ref.id) : undefined;
}

/** Servers of a zone, and disks and addresses of ours that no server has. */
export async function listZone(api: Scaleway, zone: string): Promise<Observed[]> {
  const servers = await paged(async (page) => {
    const { servers: entries, totalCount } = await api.instance.listServers({
      zone,
      page,
      perPage: 100,
      project: api.projectId,
    });
    return { entries, totalCount };
  });
  const observed = servers.map(fromServer);
  const held = new Set(observed.flatMap((one) => one.satellites.map(({ id }) => id)));
  const left = new Map<string, Satellite[]>();
  for (const { name, satellite } of await namedSatellites(api, zone))
    if (!held.has(satellite.id)) left.set(name, [...(left.get(name) ?? []), satellite]);
  return [...observed, ...[...left].map(([name, satellites]) => fromLeft(zone, name, satellites, "left"))];
}

/** `gone` only when server, disks and addresses are. Said again, it goes on where it stands. */
export async function terminateServer(api: Scaleway, ref: Ref, keys: Keys | undefined): Promise<"accepted" | "gone"> {
  const now = api.now();
  const { zone, name } = placeOf(ref);
  const server = await unlessGone(async () => (await api.instance.getServer({ zone, serverId: ref.id })).server, now);
  if (server) {
    await endServer(api, server, name, now);
    return "accepted";
  }
  const left = await leftOf(api, zone, name);
  for (const one of left) await ignoring(["missing", "conflict"], async () => await endSatellite(api, zone, one), now);
  const made = name === "" ? [] : ((await keys?.of(name)) ?? []);
  for (const key of made) await ignoring(["missing"], async () => await keys?.remove(key), now);
  return left.length === 0 && made.length === 0 ? "gone" : "accepted";
}

async function endServer(api: Scaleway, server: Server, name: string, now: number): Promise<void> {
  const { zone } = server;
  for (const volume of Object.values(server.volumes))
    // Let go of, it could not be told from others' disks.
    if (volume.volumeType === "sbs_volume" && volume.name !== name)
      await ignoring(["missing", "conflict"], async () => await api.block.updateVolume({ zone, volumeId: volume.id, name }), now);
  const end = async (): Promise<unknown> =>
    server.state === "stopped"
      ? await api.instance.deleteServer({ zone, serverId: server.id })
      : await api.instance.serverAction({ zone, serverId: server.id, action: "terminate" });
  // It is being stopped or started; it will take it once that is over.
  if (server.state !== "stopping") await ignoring(["missing", "conflict"], end, now);
}

async function endSatellite(api: Scaleway, zone: string, { kind, id }: Satellite): Promise<unknown> {
  return kind === "address"
    ? await api.instance.deleteIp({ zone, ip: id })
    : await api.block.deleteVolume({ zone, volumeId: id });
}

const leftOf = async (api: Scaleway, zone: string, name: string): Promise<Satellite[]> =>
  (await namedSatellites(api, zone, name)).filter((one) => one.name === name).map(({ satellite }) => satellite);

/** Disks by name, addresses by tag; `name` narrows what is read. */
async function namedSatellites(
  api: Scaleway,
  zone: string,
  name?: string,
): Promise<{ readonly name: string; readonly satellite: Satellite }[]> {
  const volumes = await paged(async (page) => {
    const projectId = api.projectId;
    const read = await api.block.listVolumes({
      zone,
      page,
      pageSize: 100,
      projectId,
      includeDeleted: false,
      ...(name !== undefined && { name }),
    });
    return { entries: read.volumes, totalCount: read.totalCount };
  });
  const ips = await paged(async (page) => {
    const read = await api.instance.listIps({ zone, page, perPage: 100, project: api.projectId });
    return { entries: read.ips, totalCount: read.totalCount };
  });
  return [
    ...volumes
      .filter((one) => parseMachineName(one.name) && one.status !== "deleted")
      .map((one) => ({ name: one.name, satellite: { kind: "disk", id: one.id, region: zone } as const })),
    ...ips.flatMap(({ id, tags }) => {
      const named = tagIn(tags, "nika-name");
      return named === undefined ? [] : [{ name: named, satellite: { kind: "address", id, region: zone } as const }];
    }),
  ];
}

export function tagsOf(intent: MachineIntent): string[] {
  return [
    `nika-install=${intent.installId}`,
    `nika-machine=${intent.machineId}`,
    `nika-until=${Math.ceil(intent.deadline / 1000)}`,
    `nika-name=${intent.name}`,
    `nika-hourly=${priceTag(intent.offer.hourly)}`,
  ];
}

function fromServer(server: Server): Observed {
  const { tags, zone } = server;
  const [installId, machineId, until] = ["nika-install", "nika-machine", "nika-until"].map((name) => tagIn(tags, name));
  const address = (server.publicIps ?? []).find((ip) => ip.family === "inet")?.address ?? server.publicIp?.address;
  const hourly = parsePriceTag(tagIn(tags, "nika-hourly"));
  const byTags = installId !== undefined && machineId !== undefined && until !== undefined;
  return {
    ref: refOf(server),
    name: server.name,
    ...(byTags ? { installId, machineId, deadline: Number(until) * 1000 } : parseMachineName(server.name)),
    state: states[server.state] ?? "running",
    ...(hourly && { hourly }),
    isBilled: true,
    ...(address !== undefined && { address: { host: address, sshPort: 22 } }),
    satellites: [
      ...Object.values(server.volumes)
        .filter(({ volumeType }) => volumeType === "sbs_volume")
        .map((volume) => ({ kind: "disk", id: volume.id, region: zone }) as const),
      // Those that are not its own for as long as it runs.
      ...(server.publicIps ?? [])
        .filter((ip) => !ip.dynamic)
        .map((ip) => ({ kind: "address", id: ip.id, region: zone }) as const),
    ],
    ...(server.creationDate && { createdAt: server.creationDate.getTime() }),
  };
}

const fromLeft = (zone: string, name: string, satellites: readonly Satellite[], id: string): Observed => ({
  ref: { provider: "scaleway", region: `${zone}/${name}`, id },
  name,
  ...parseMachineName(name),
  state: "stopped",
  isBilled: true,
  satellites: [...satellites],
});

/** A server that was renamed by hand is known by its tag. */
const refOf = (server: Server): Ref => ({
  provider: "scaleway",
  region: `${server.zone}/${tagIn(server.tags, "nika-name") ?? server.name}`,
  id: server.id,
});

function placeOf({ region }: Ref): { readonly zone: string; readonly name: string } {
  const cut = region.indexOf("/");
  return cut < 0 ? { zone: region, name: "" } : { zone: region.slice(0, cut), name: region.slice(cut + 1) };
}

function tagIn(tags: readonly string[], name: string): string | undefined {
  return tags.find((tag) => tag.startsWith(`${name}=`))?.slice(name.length + 1);
}

async function unlessGone<T>(act: () => Promise<T>, now: number): Promise<T | undefined> {
  return await ignoring(["missing"], act, now);
}

/** Undefined where it fails in one of these ways. */
async function ignoring<T>(kinds: readonly string[], act: () => Promise<T>, now: number): Promise<T | undefined> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof ProviderError) && kinds.includes(missedOf(error, { now }).failure.kind)) return undefined;
    throw error;
  }
}
