/**
 * Scaleway's APIs of instances, block storage, keys and bills as far as Nika uses them, on a socket of this machine. A server is made
 * stopped and is powered on by an action; shut down from inside it stands by and is billed; ending it lets go of its disk, which is
 * billed until it is deleted. Lists come in short pages.
 *
 * The wire is that of @scaleway/sdk-instance 1.4.0, -block 1.3.0 and -iam 1.6.0, whose own requests are what is answered here; bodies
 * are checked against what those write and read (their types of November 2026), and what a stranger adds is refused.
 */
import { randomUUID } from "node:crypto";
import { lost, openCloud, serve, type Cloud, type Heard, type Reply, type Thing } from "./cloud.ts";
import type { Fault, Lying } from "./fault.ts";
import { mismatches, shaped, type Shape } from "./shape.ts";

export type FakeScaleway = {
  readonly url: string;
  readonly credentials: { readonly accessKey: string; readonly secretKey: string; readonly projectId: string };
  readonly lying: Lying;
  readonly keys: readonly string[];
  readonly heard: readonly Heard[];
  /** Keys that applications were given, by their access key. */
  readonly apiKeys: ReadonlyMap<string, { readonly description: string; readonly expiresAt: string }>;
  /** What each server got to boot with, by its id. */
  readonly userData: ReadonlyMap<string, string>;
  stateOf(id: string): ReturnType<Cloud["stateOf"]> | undefined;
  /** As from inside the machine. */
  shutDown(id: string): void;
  close(): Promise<void>;
};

export const zones = ["fr-par-2", "pl-waw-2"] as const;
const pageMax = 2;
/** What changes is shown by lists only after this. */
const lagMs = 5_000;
/** Invented, per hour and disk. */
const diskMicros = 4_000;

const can: readonly Fault[] = [
  "createReplyLostAfter",
  "createReplyLostBefore",
  "createErrorButExists",
  "createTwice",
  "describeMissingAtFirst",
  "listOmitsOnce",
  "listPageLost",
  "terminateIgnoredTwice",
  "terminateFails",
  "terminateMissing",
  "disappears",
  "noCapacity",
  "quota",
  "rateLimited",
  "rateLimitedSilently",
  "keyRevoked",
  "satelliteLeft",
  "down",
  "priceDoubled",
  "billLate",
  "billMissesHours",
  "billOtherCurrency",
];

const GB = 1e9;
const billPage = 100;
/** Invented prices; the kinds are Scaleway's. */
const types: Readonly<
  Record<string, { gpu: number; gpuName?: string; gpuGb?: number; cpus: number; ramGb: number; price: number; arch?: string }>
> = {
  "DEV1-S": { gpu: 0, cpus: 2, ramGb: 2, price: 0.0088 },
  "GP1-XS": { gpu: 0, cpus: 4, ramGb: 16, price: 0.09 },
  "AMP2-C4": { gpu: 0, cpus: 4, ramGb: 16, price: 0.07, arch: "arm64" },
  "L4-1-24G": { gpu: 1, gpuName: "L4", gpuGb: 24, cpus: 8, ramGb: 48, price: 0.75 },
  "L4-2-24G": { gpu: 2, gpuName: "L4", gpuGb: 24, cpus: 16, ramGb: 96, price: 1.5 },
  "H100-1-80G": { gpu: 1, gpuName: "H100-PCIe", gpuGb: 80, cpus: 24, ramGb: 240, price: 2.73 },
};

const createShape: Shape = {
  must: { name: "string", commercial_type: "string", image: "string", project: "string" },
  may: {
    tags: { list: "string" },
    dynamic_ip_required: "boolean",
    protected: "boolean",
    security_group: "string",
    volumes: {
      map: {
        must: { volume_type: { words: ["l_ssd", "sbs_volume", "scratch"] } },
        may: { name: "string", size: "integer", boot: "boolean" },
      },
    },
  },
};
const actionShape: Shape = { must: { action: { words: ["poweron", "poweroff", "terminate", "reboot", "stop_in_place"] } } };
const apiKeyShape: Shape = {
  must: { application_id: "string", description: "string" },
  may: { expires_at: "string", default_project_id: "string" },
};
const serverShape: Shape = {
  must: {
    id: "string",
    name: "string",
    state: { words: ["running", "stopped", "stopped in place", "starting", "stopping", "locked"] },
    commercial_type: "string",
    tags: { list: "string" },
    volumes: {
      map: {
        must: { id: "string", volume_type: "string", boot: "boolean", zone: "string" },
        may: { name: "string" },
        isOpen: true,
      },
    },
    public_ips: { list: { must: { id: "string", address: "string", dynamic: "boolean", family: "string" }, isOpen: true } },
    zone: "string",
    creation_date: "string",
  },
  isOpen: true,
};

export type FakeScalewayOptions = {
  readonly now: () => number;
  readonly bootMs?: number;
  readonly endMs?: number;
  /** Where a server is reached that runs; undefined while it has no address yet. */
  readonly addressOf?: (id: string) => string | undefined;
};

export async function openFakeScaleway({
  now,
  bootMs = 60_000,
  endMs = 40_000,
  addressOf = () => "51.15.0.7",
}: FakeScalewayOptions): Promise<FakeScaleway> {
  const credentials = { accessKey: "SCWXXXXXXXXXXXXXXXXX", secretKey: randomUUID(), projectId: randomUUID() };
  const cloud = openCloud({ now, can, bootMs, endMs, isStoppedBilled: true });
  const userData = new Map<string, string>();
  const isOn = new Set<string>();
  const apiKeys = new Map<string, { description: string; expiresAt: string }>();
  const keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOwnersOwnKeyOwnersOwnKeyOwnersOwnKeyOwners owner@laptop"];

  type Route = readonly [string, RegExp, (heard: Heard, zone: string, id: string) => Reply | typeof lost];
  const routes: readonly Route[] = [
    [
      "GET",
      /^\/instance\/v1\/zones\/([^/]+)\/products\/servers$/,
      (heard) => page(heard, "servers", Object.fromEntries(Object.entries(types).map(toType))),
    ],
    [
      "GET",
      /^\/instance\/v1\/zones\/([^/]+)\/products\/servers\/availability$/,
      (heard) =>
        page(
          heard,
          "servers",
          Object.fromEntries(
            Object.keys(types).map((type) => [type, { availability: type === "H100-1-80G" ? "shortage" : "available" }]),
          ),
        ),
    ],
    [
      "GET",
      /^\/instance\/v1\/zones\/([^/]+)\/servers$/,
      (heard, zone) => {
        const wanted = heard.url.searchParams.get("tags")?.split(",") ?? [];
        const shown = cloud.listed(lagMs).filter((one) => placed(one, zone) && wanted.every((tag) => tagsOf(one).includes(tag)));
        const kept = heard.url.searchParams.get("page") === "2" && cloud.take("listPageLost") ? shown.slice(0, -1) : shown;
        return page(heard, "servers", kept.map(toServer), shown.length);
      },
    ],
    ["POST", /^\/instance\/v1\/zones\/([^/]+)\/servers$/, create],
    [
      "GET",
      /^\/instance\/v1\/zones\/([^/]+)\/servers\/([^/]+)$/,
      (_, zone, id) => {
        const server = find(zone, id);
        if (!server || (cloud.is("describeMissingAtFirst") && server.bornAt + 20_000 > now())) return unknownResource(id);
        return json(200, { server: toServer(server) });
      },
    ],
    [
      "PATCH",
      /^\/instance\/v1\/zones\/([^/]+)\/servers\/([^/]+)\/user_data\/cloud-init$/,
      (heard, zone, id) => {
        if (!find(zone, id)) return unknownResource(id);
        if (heard.headers["content-type"] !== "text/plain")
          return refused(400, "invalid_request_error", "user data is plain text");
        userData.set(id, heard.body);
        return { status: 204, body: "" };
      },
    ],
    ["POST", /^\/instance\/v1\/zones\/([^/]+)\/servers\/([^/]+)\/action$/, act],
    [
      "DELETE",
      /^\/instance\/v1\/zones\/([^/]+)\/servers\/([^/]+)$/,
      (_, zone, id) => {
        const server = find(zone, id);
        if (!server) return unknownResource(id);
        if (isOn.has(id))
          return refused(400, "precondition_failed", "instance should be powered off", {
            precondition: "resource_not_usable",
            help_message: "instance should be powered off",
          });
        return ended(server);
      },
    ],
    ["GET", /^\/instance\/v1\/zones\/([^/]+)\/ips$/, (heard) => page(heard, "ips", [])],
    [
      "GET",
      /^\/block\/v1\/zones\/([^/]+)\/volumes$/,
      (heard, zone) => {
        const name = heard.url.searchParams.get("name");
        const shown = disksOf(zone).filter(({ disk }) => name === null || names.get(disk.id)?.includes(name));
        return page(heard, "volumes", shown.map(toVolume));
      },
    ],
    [
      "PATCH",
      /^\/block\/v1\/zones\/([^/]+)\/volumes\/([^/]+)$/,
      (heard, zone, id) => {
        const found = disksOf(zone).find(({ disk }) => disk.id === id);
        if (!found) return unknownResource(id);
        names.set(id, String((JSON.parse(heard.body) as { name?: string }).name));
        return json(200, toVolume(found));
      },
    ],
    [
      "DELETE",
      /^\/block\/v1\/zones\/([^/]+)\/volumes\/([^/]+)$/,
      (_, zone, id) => {
        const found = disksOf(zone).find(({ disk }) => disk.id === id);
        if (!found) return unknownResource(id);
        if (cloud.stateOf(found.thing) !== "gone")
          return refused(412, "precondition_failed", "in use", {
            precondition: "resource_still_in_use",
            help_message: "the volume is in use",
          });
        // It was said to be deleted; it is not, once.
        if (!cloud.take("satelliteLeft")) found.disk.goneAt = now();
        return { status: 204, body: "" };
      },
    ],
    ["GET", /^\/iam\/v1alpha1\/ssh-keys()()$/, (heard) => page(heard, "ssh_keys", keys.map(toKey))],
    [
      "POST",
      /^\/iam\/v1alpha1\/ssh-keys()()$/,
      (heard) => {
        const body = JSON.parse(heard.body) as { name: string; public_key: string; project_id: string };
        keys.push(body.public_key);
        return json(200, toKey(body.public_key));
      },
    ],
    [
      "GET",
      /^\/iam\/v1alpha1\/api-keys()()$/,
      (heard) =>
        page(
          heard,
          "api_keys",
          [...apiKeys]
            .filter(([, one]) => one.description === heard.url.searchParams.get("description"))
            .map(([key, one]) => toApiKey(key, one)),
        ),
    ],
    [
      "POST",
      /^\/iam\/v1alpha1\/api-keys()()$/,
      (heard) => {
        const body = JSON.parse(heard.body) as Record<string, string>;
        const wrong = mismatches(apiKeyShape, body);
        if (wrong.length > 0)
          return refused(400, "invalid_arguments", "invalid argument(s)", {
            details: wrong.map((one) => ({ argument_name: "body", reason: "unknown", help_message: one })),
          });
        const key = `SCW${cloud.nextId("", 17).toUpperCase()}`;
        const made = { description: body.description ?? "", expiresAt: body.expires_at ?? "" };
        apiKeys.set(key, made);
        return json(200, { ...toApiKey(key, made), secret_key: randomUUID() });
      },
    ],
    [
      "DELETE",
      /^\/iam\/v1alpha1\/api-keys\/([^/]+)()$/,
      (_, key) => (apiKeys.delete(key) ? { status: 204, body: "" } : unknownResource(key)),
    ],
    [
      "GET",
      /^\/billing\/v2beta1\/consumptions()()$/,
      ({ url }) => {
        const month = url.searchParams.get("billing_period") ?? "";
        const at = Number(url.searchParams.get("page") ?? 1) - 1;
        const parts = cloud.bill().filter(({ day }) => day.startsWith(month));
        const upTo = now() - (cloud.is("billLate") ? 86_400_000 : 0);
        return json(200, {
          consumptions: parts.slice(at * billPage, (at + 1) * billPage).map(({ thing, micros }) => ({
            category_name: "Compute",
            product_name: "Instances",
            resource_name: thing.name,
            project_id: credentials.projectId,
            value: {
              currency_code: cloud.billCurrency("EUR"),
              units: Math.floor(micros / 1e6),
              nanos: (micros % 1e6) * 1e3,
            },
          })),
          total_count: parts.length,
          updated_at: new Date(upTo).toISOString(),
        });
      },
    ],
  ];

  /** Names of disks, which outlive their servers. */
  const names = new Map<string, string>();

  function create(heard: Heard, zone: string): Reply | typeof lost {
    const body = JSON.parse(heard.body) as Record<string, unknown>;
    const wrong = mismatches(createShape, body);
    if (wrong.length > 0)
      return refused(400, "invalid_request_error", `Validation Error ${heard.body}`, { fields: { body: wrong } });
    if (cloud.take("createReplyLostBefore")) return lost;
    const kind = types[String(body.commercial_type)];
    if (!kind) return refused(400, "invalid_request_error", "unknown commercial type");
    if (cloud.is("quota"))
      return refused(403, "quotas_exceeded", "Quota(s) exceeded", {
        details: [
          { resource: "cp_servers_type_L4_1_24G", quota: 1, current: 1, scope: { kind: "organization", id: randomUUID() } },
        ],
      });
    if (cloud.is("noCapacity")) return refused(400, "out_of_stock", "out of stock", { resource: body.commercial_type });
    const make = (): Thing => {
      const disk = { id: uuid(cloud.nextId("", 12)), hourlyMicros: diskMicros };
      names.set(
        disk.id,
        (Object.values(body.volumes as Record<string, { name?: string }>)[0] ?? {}).name ?? "Ubuntu root volume",
      );
      const thing = cloud.add({
        id: uuid(cloud.nextId("", 12)),
        name: String(body.name),
        place: zone,
        type: String(body.commercial_type),
        tags: {},
        isSpot: false,
        hourlyMicros: Math.round(kind.price * 1e6),
        asked: body,
        disk,
        // Its disk is only let go of.
        leavesDisk: true,
      });
      cloud.stop(thing);
      return thing;
    };
    const made = make();
    if (cloud.take("createTwice")) make();
    if (cloud.take("createReplyLostAfter")) return lost;
    if (cloud.take("createErrorButExists")) return { status: 500, body: "{}" };
    return json(201, { server: toServer(made) });
  }

  function act(heard: Heard, zone: string, id: string): Reply | typeof lost {
    const server = find(zone, id);
    const body = JSON.parse(heard.body) as { action: string };
    if (!server) return unknownResource(id);
    const wrong = mismatches(actionShape, body);
    if (wrong.length > 0)
      return refused(400, "invalid_arguments", "invalid argument(s)", {
        details: wrong.map((one) => ({ argument_name: "action", reason: "constraint", help_message: one })),
      });
    if (body.action === "poweron") {
      if (isOn.has(id)) return refused(400, "invalid_request_error", "server should be stopped");
      isOn.add(id);
      delete server.stoppedAt;
      server.upAt = now() + 60_000;
    }
    if (body.action === "terminate") {
      if (!isOn.has(id)) return refused(400, "invalid_request_error", "server should be running");
      const reply = ended(server);
      if (reply.status >= 300) return reply;
    }
    return json(202, {
      task: {
        id: randomUUID(),
        description: `server_${body.action}`,
        progress: 0,
        status: "pending",
        zone,
        href_from: "",
        href_result: "",
        started_at: new Date(now()).toISOString(),
      },
    });
  }

  function ended(server: Thing): Reply {
    if (cloud.is("terminateFails")) return { status: 503, body: "{}" };
    cloud.end(server, "us");
    return cloud.take("terminateMissing") ? unknownResource(server.id) : { status: 204, body: "" };
  }

  const placed = (one: Thing, zone: string): boolean =>
    (one.place === zone || (one.place === "" && zone === zones[0])) && cloud.stateOf(one) !== "gone";
  const find = (zone: string, id: string): Thing | undefined => {
    const thing = cloud.findById(id);
    return thing && placed(thing, zone) ? thing : undefined;
  };
  const disksOf = (zone: string): { thing: Thing; disk: NonNullable<Thing["disk"]> }[] =>
    cloud.things.flatMap((thing) =>
      thing.disk && thing.place === zone && (thing.disk.goneAt ?? Infinity) > now() ? [{ thing, disk: thing.disk }] : [],
    );
  const toVolume = ({ thing, disk }: { thing: Thing; disk: { id: string } }): object => ({
    id: disk.id,
    name: names.get(disk.id),
    type: "sbs_5k",
    size: 40 * GB,
    project_id: credentials.projectId,
    created_at: new Date(thing.bornAt).toISOString(),
    updated_at: null,
    references:
      cloud.stateOf(thing) === "gone"
        ? []
        : [
            {
              id: randomUUID(),
              product_resource_type: "instance_server",
              product_resource_id: thing.id,
              type: "exclusive",
              status: "attached",
              created_at: null,
            },
          ],
    parent_snapshot_id: null,
    status: cloud.stateOf(thing) === "gone" ? "available" : "in_use",
    tags: [],
    zone: thing.place,
    specs: { class: "sbs", perf_iops: 5000 },
    last_detached_at: null,
  });
  const toServer = (thing: Thing): object => {
    const state = cloud.stateOf(thing);
    const zone = thing.place === "" ? zones[0] : thing.place;
    return shaped(
      serverShape,
      {
        id: thing.id,
        name: thing.name,
        state: {
          booting: "starting",
          running: "running",
          stopped: isOn.has(thing.id) ? "stopped in place" : "stopped",
          ending: "stopping",
          gone: "stopping",
        }[state],
        commercial_type: thing.type,
        tags: tagsOf(thing),
        volumes: thing.disk
          ? {
              0: {
                id: thing.disk.id,
                name: names.get(thing.disk.id),
                volume_type: "sbs_volume",
                boot: true,
                zone,
                state: "available",
              },
            }
          : {},
        public_ips:
          state === "running" && addressOf(thing.id) !== undefined
            ? [
                {
                  id: randomUUID(),
                  address: addressOf(thing.id),
                  gateway: null,
                  netmask: "32",
                  family: "inet",
                  dynamic: true,
                  provisioning_mode: "dhcp",
                  state: "attached",
                  tags: [],
                  ipam_id: randomUUID(),
                },
              ]
            : [],
        zone,
        creation_date: new Date(thing.bornAt).toISOString(),
        modification_date: new Date(now()).toISOString(),
        arch: "x86_64",
        protected: false,
        project: credentials.projectId,
        organization: randomUUID(),
        private_nics: [],
        maintenances: [],
        allowed_actions: [],
      },
      "a server",
    );
  };

  const server = await serve((heard) => {
    if (cloud.is("down")) return { status: 503, body: "upstream connect error" };
    if (heard.headers["x-auth-token"] !== credentials.secretKey || cloud.is("keyRevoked"))
      return refused(401, "denied_authentication", `invalid ${String(heard.headers["x-auth-token"])}`, {
        method: "api_key",
        reason: "not_found",
      });
    const quiet = { limit: { quota: 60, window_seconds: 60 } };
    if (cloud.is("rateLimited"))
      return refused(429, "too_many_requests", "slow down", { help_message: "slow down", reset_seconds: 9, ...quiet });
    if (cloud.is("rateLimitedSilently")) return refused(429, "too_many_requests", "slow down", { help_message: "slow down" });
    for (const [method, pattern, handle] of routes) {
      const found = pattern.exec(heard.url.pathname);
      if (found && method === heard.method) return handle(heard, found[1] ?? "", found[2] ?? "");
    }
    return unknownResource(heard.url.pathname);
  });
  return {
    url: server.url,
    credentials,
    lying: cloud.lying,
    keys,
    heard: server.heard,
    apiKeys,
    userData,
    stateOf(id) {
      const thing = cloud.findById(id);
      return thing && cloud.stateOf(thing);
    },
    shutDown(id) {
      const thing = cloud.findById(id);
      if (thing) cloud.stop(thing);
    },
    close: server.close,
  };
}

const uuid = (serial: string): string => `00000000-0000-4000-8000-${serial.padStart(12, "0")}`;
const tagsOf = (thing: Thing): string[] => (thing.asked.tags as string[] | undefined) ?? [];
const toApiKey = (key: string, { description, expiresAt }: { description: string; expiresAt: string }): object => ({
  access_key: key,
  secret_key: null,
  application_id: randomUUID(),
  description,
  created_at: null,
  updated_at: null,
  expires_at: expiresAt,
  default_project_id: randomUUID(),
  editable: true,
  deletable: true,
  managed: false,
  creation_ip: "192.0.2.1",
});
const toKey = (key: string): object => ({
  id: randomUUID(),
  name: "key",
  public_key: key,
  fingerprint: "256 SHA256:x",
  created_at: null,
  updated_at: null,
  organization_id: randomUUID(),
  project_id: randomUUID(),
  disabled: false,
});
const toType = ([type, it]: [string, (typeof types)[string]]): [string, object] => [
  type,
  {
    alt_names: [],
    arch: it.arch ?? "x86_64",
    ncpus: it.cpus,
    ram: it.ramGb * GB,
    gpu: it.gpu,
    gpu_info: it.gpu > 0 ? { gpu_manufacturer: "NVIDIA", gpu_name: it.gpuName, gpu_memory: (it.gpuGb ?? 0) * 2 ** 30 } : null,
    hourly_price: it.price,
    monthly_price: it.price * 500,
    end_of_service: false,
    volumes_constraint: { min_size: 0, max_size: 0 },
    scratch_storage_max_size: 0,
    block_bandwidth: 1,
  },
];

/** A page of a list, or of a map. Pages are short, whatever was asked for. */
function page(heard: Heard, name: string, all: readonly object[] | Readonly<Record<string, object>>, count?: number): Reply {
  const at = Number(heard.url.searchParams.get("page") ?? 1);
  const [from, to] = [(at - 1) * pageMax, at * pageMax];
  const total = count ?? (Array.isArray(all) ? all.length : Object.keys(all).length);
  const entries = Array.isArray(all) ? all.slice(from, to) : Object.fromEntries(Object.entries(all).slice(from, to));
  // The instance API counts in a header, the others in the body.
  return heard.url.pathname.startsWith("/instance/")
    ? json(200, { [name]: entries }, { "x-total-count": String(total) })
    : json(200, { [name]: entries, total_count: total });
}

const unknownResource = (id: string): Reply => refused(404, "unknown_resource", `"${id}" not found`);
const refused = (status: number, type: string, message: string, more: object = {}): Reply =>
  json(status, { type, message, ...more });
const json = (status: number, body: object, headers: Readonly<Record<string, string>> = {}): Reply => ({
  status,
  headers: { "content-type": "application/json", ...headers },
  body: JSON.stringify(body),
});
