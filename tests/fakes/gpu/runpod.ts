/**
 * RunPod's API v2 as far as Nika uses it, on a socket of this machine: pods that are paid by the second until they are deleted, endpoints
 * that cost while a worker is up, problem documents, fields refused that it does not know, and the lies that it was seen to tell.
 */
import { randomBytes } from "node:crypto";
import { openCloud, serve, lost, type Cloud, type Heard, type Reply, type Thing } from "./cloud.ts";
import type { Fault, Lying } from "./fault.ts";
import { mismatches, shaped, type Shape } from "./shape.ts";
import * as shapes from "./runpodShapes.ts";

export type FakeRunpod = {
  readonly url: string;
  readonly apiKey: string;
  readonly lying: Lying;
  /** Public keys of the account. */
  readonly keys: readonly string[];
  readonly heard: readonly Heard[];
  close(): Promise<void>;
};

const can: readonly Fault[] = [
  "createReplyLostAfter",
  "createReplyLostBefore",
  "createErrorButExists",
  "createTwice",
  "describeMissingAtFirst",
  "listOmitsOnce",
  "terminateIgnoredTwice",
  "terminateFails",
  "terminateMissing",
  "disappears",
  "noCapacity",
  "quota",
  "balance",
  "rateLimited",
  "rateLimitedSilently",
  "keyRevoked",
  "down",
  "priceDoubled",
  "billLate",
  "billMissesHours",
];

/** Invented prices; the kinds and places are RunPod's. */
const gpus = [
  { id: "NVIDIA L4", name: "L4", pool: "ADA_24", memory: 24, price: 0.43, most: 8, places: ["EU-RO-1", "US-KS-2"] },
  {
    id: "NVIDIA GeForce RTX 4090",
    name: "RTX 4090",
    pool: "ADA_24",
    memory: 24,
    price: 0.69,
    most: 8,
    places: ["EUR-IS-1", "US-KS-2"],
  },
  { id: "NVIDIA A100 80GB PCIe", name: "A100 PCIe", pool: "AMPERE_80", memory: 80, price: 1.64, most: 8, places: ["EU-SE-1"] },
];
const cpus = [{ id: "cpu5c", name: "Compute-Optimized", group: "Gen 5", ramGbPerVcpu: 2, price: 0.04, places: ["EU-RO-1"] }];

export async function openFakeRunpod({ now }: { readonly now: () => number }): Promise<FakeRunpod> {
  const apiKey = `rpa_${randomBytes(24).toString("hex")}`;
  const cloud = openCloud({ now, can, bootMs: 45_000, endMs: 3_000, isStoppedBilled: true });
  /** Endpoints that were given their job. */
  const queued = new Set<string>();
  const keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOwnersOwnKeyOwnersOwnKeyOwnersOwnKeyOwners owner@laptop"];

  const routes: readonly (readonly [string, RegExp, (heard: Heard, id: string) => Reply | typeof lost])[] = [
    ["GET", /^\/v2\/account\/ssh-keys$/, () => json(200, shaped(shapes.keys, { keys }, "keys"))],
    [
      "PUT",
      /^\/v2\/account\/ssh-keys$/,
      (heard) =>
        validated(heard, shapes.keys, (body) => {
          keys.splice(0, keys.length, ...(body.keys as string[]));
          return json(200, { keys });
        }),
    ],
    [
      "GET",
      /^\/v2\/catalog\/gpus$/,
      ({ url }) => json(200, shaped(shapes.gpus, { gpus: gpus.map((one) => gpuEntry(one, url.searchParams)) }, "gpus")),
    ],
    ["GET", /^\/v2\/catalog\/cpus$/, () => json(200, shaped(shapes.cpus, { cpus: cpus.map(cpuEntry) }, "cpus"))],
    [
      "GET",
      /^\/v2\/pods$/,
      () =>
        json(
          200,
          shaped(
            shapes.pods,
            {
              pods: cloud
                .listed(0)
                .filter((one) => !isEndpoint(one) && cloud.stateOf(one) !== "gone")
                .map(toPod),
            },
            "pods",
          ),
        ),
    ],
    ["POST", /^\/v2\/pods$/, (heard) => created(heard, shapes.createPod, makePod, toPod)],
    ["GET", /^\/v2\/pods\/([^/]+)$/, (_, id) => described(id, false, toPod)],
    ["DELETE", /^\/v2\/pods\/([^/]+)$/, (_, id) => deleted(id)],
    [
      "GET",
      /^\/v2\/pods\/([^/]+)\/logs$/,
      ({ headers }, id) => (find(id, false) ? logs(id, headers["last-event-id"]) : missing()),
    ],
    [
      "GET",
      /^\/v2\/serverless$/,
      () =>
        json(
          200,
          shaped(
            shapes.endpoints,
            {
              endpoints: cloud
                .listed(0)
                .filter((one) => isEndpoint(one) && cloud.stateOf(one) !== "gone")
                .map(toEndpoint),
            },
            "endpoints",
          ),
        ),
    ],
    ["POST", /^\/v2\/serverless$/, (heard) => created(heard, shapes.createEndpoint, makeEndpoint, toEndpoint)],
    ["GET", /^\/v2\/serverless\/([^/]+)$/, (_, id) => described(id, true, toEndpoint)],
    [
      "GET",
      /^\/v2\/serverless\/([^/]+)\/workers$/,
      (_, id) => (find(id, true) ? json(200, shaped(shapes.workers, workersOf(find(id, true)), "workers")) : missing()),
    ],
    ["DELETE", /^\/v2\/serverless\/([^/]+)$/, (_, id) => deleted(id)],
    [
      "POST",
      /^\/v2\/([^/]+)\/run$/,
      (_, id) => {
        const endpoint = find(id, true);
        if (!endpoint) return missing();
        queued.add(id);
        return json(200, { id: "eaebd6e7-6a92-4bb8-a911-f996ac5ea99d", status: "IN_QUEUE" });
      },
    ],
    ["GET", /^\/v2\/billing\/(?:pods|serverless)$/, ({ url }) => json(200, bill(url))],
  ];

  /** What it makes of a valid request, given the account's and the stock's state. */
  const created = (
    heard: Heard,
    shape: Shape,
    make: (body: Record<string, unknown>) => Thing | Reply,
    show: (thing: Thing) => object,
  ): Reply | typeof lost =>
    validated(heard, shape, (body) => {
      if (cloud.take("createReplyLostBefore")) return lost;
      if (cloud.is("balance")) return problem(402, "Payment Required", `Not enough credit to deploy ${String(body.name)}.`);
      if (cloud.is("quota")) return problem(400, "Bad Request", "Your account has reached its spend limit of $80 per hour.");
      if (cloud.is("noCapacity"))
        return problem(
          400,
          "Bad Request",
          `There are no longer any instances available with the requested specifications for ${JSON.stringify(body.env)}.`,
        );
      const thing = make(body);
      if ("status" in thing) return thing;
      if (cloud.take("createTwice")) make(body);
      if (cloud.take("createReplyLostAfter")) return lost;
      if (cloud.take("createErrorButExists")) return problem(500, "Internal Server Error", "upstream timed out");
      return json(201, show(thing));
    });

  const makePod = (body: Record<string, unknown>): Thing | Reply => {
    const gpu = body.gpu as { id: string; count?: number } | undefined;
    const cpu = body.cpu as { id: string; vcpuCount: number } | undefined;
    if ((gpu === undefined) === (cpu === undefined)) return problem(400, "Bad Request", "exactly one of gpu or cpu must be set");
    const kind = gpus.find(({ id }) => id === gpu?.id);
    const flavour = cpus.find(({ id }) => id === cpu?.id);
    const place = (body.dataCenterIds as string[] | undefined)?.[0] ?? "US-KS-2";
    if (!kind && !flavour) return problem(400, "Bad Request", "unknown gpu or cpu id");
    if (!(kind ?? flavour)?.places.includes(place)) return problem(400, "Bad Request", "There are no instances available there.");
    return cloud.add({
      id: cloud.nextId("pod", 11),
      name: String(body.name),
      place,
      type: (kind ?? flavour)?.id ?? "",
      tags: {},
      isSpot: false,
      hourlyMicros: Math.round((kind ? kind.price * (gpu?.count ?? 1) : (flavour?.price ?? 0) * (cpu?.vcpuCount ?? 2)) * 1e6),
      asked: { ...body },
    });
  };
  const makeEndpoint = (body: Record<string, unknown>): Thing | Reply => {
    const pool = (body.gpu as { pools: string[] } | undefined)?.pools[0];
    const kind = gpus.find((one) => one.pool === pool);
    if (!kind) return problem(400, "Bad Request", "unknown gpu pool");
    return cloud.add({
      id: cloud.nextId("ep", 8),
      name: String(body.name),
      place: "serverless",
      type: String(pool),
      tags: {},
      isSpot: false,
      hourlyMicros: Math.round(kind.price * 1.6e6),
      asked: { ...body },
    });
  };

  const find = (id: string, wantsEndpoint: boolean): Thing | undefined => {
    const thing = cloud.findById(id);
    return thing && isEndpoint(thing) === wantsEndpoint && cloud.stateOf(thing) !== "gone" ? thing : undefined;
  };
  const described = (id: string, wantsEndpoint: boolean, show: (thing: Thing) => object): Reply => {
    const thing = find(id, wantsEndpoint);
    if (!thing || (cloud.is("describeMissingAtFirst") && thing.bornAt + 20_000 > now())) return missing();
    return json(200, show(thing));
  };
  const deleted = (id: string): Reply => {
    const thing = cloud.findById(id);
    if (cloud.is("terminateFails")) return problem(503, "Service Unavailable", "try again later");
    if (!thing || cloud.stateOf(thing) === "gone") return missing();
    cloud.end(thing, "us");
    return cloud.take("terminateMissing") ? missing() : { status: 204, body: "" };
  };
  const toPod = (thing: Thing): object => {
    const state = cloud.stateOf(thing);
    const up = state === "running";
    const direct = { host: "195.26.233.3", port: 34_446, username: "root", command: "ssh root@195.26.233.3 -p 34446" };
    const { gpu, cpu, image, args, disk, ports, env } = thing.asked;
    return shaped(
      shapes.pod,
      {
        id: thing.id,
        name: thing.name,
        image: image ?? "runpod/base:1",
        args: args ?? "",
        disk: disk ?? 20,
        ports: ports ?? [],
        env: env ?? {},
        registry: null,
        status:
          state === "booting"
            ? now() - thing.bornAt < 15_000
              ? "PROVISIONING"
              : "STARTING"
            : up
              ? "RUNNING"
              : state === "stopped"
                ? "EXITED"
                : "TERMINATED",
        actions: ["stop", "terminate"],
        mounts: {},
        ...(gpu ? { gpu: { count: 1, ...gpu } } : {}),
        ...(cpu ? { cpu: { memory: 8, ...cpu } } : {}),
        cloud: "SECURE",
        dataCenterId: thing.place === "" ? null : thing.place,
        cudaVersion: up ? "12.8" : null,
        ssh: { proxy: null, direct: up && (ports as string[] | undefined)?.includes("22/tcp") ? direct : null },
        template: null,
        cost: state === "stopped" || state === "ending" ? 0 : thing.hourlyMicros / 1e6,
        locked: false,
        globalNetworking: { enabled: false },
        runtime: up ? { uptime: Math.floor((now() - thing.upAt) / 1000) } : null,
        createdAt: new Date(thing.bornAt).toISOString(),
        startedAt: null,
      },
      "a pod",
    );
  };
  const toEndpoint = (thing: Thing): object =>
    shaped(
      shapes.endpoint,
      {
        id: thing.id,
        name: thing.name,
        type: "QUEUE",
        image: thing.asked.image,
        args: thing.asked.args ?? "",
        env: thing.asked.env ?? {},
        registry: null,
        gpu: { allowedCudaVersions: [], minCudaVersion: null, count: 1, ...(thing.asked.gpu as object) },
        workers: { min: 0, max: 3, idleTimeout: 10, ...(thing.asked.workers as object) },
        scaling: thing.asked.scaling,
        dataCenterIds: thing.asked.dataCenterIds ?? [],
        networkVolumes: [],
        timeout: thing.asked.timeout ?? 300_000,
        flashboot: "OFF",
        createdAt: new Date(thing.bornAt).toISOString(),
      },
      "an endpoint",
    );
  const workersOf = (thing: Thing | undefined): object => {
    const state = thing && queued.has(thing.id) && cloud.stateOf(thing) === "running" ? "RUNNING" : "INITIALIZING";
    const workers = !thing || !queued.has(thing.id) ? [] : [{ id: "worker1", status: state, gpuCount: 1, isStale: false }];
    const of = (status: string): number => workers.filter((one) => one.status === status).length;
    return {
      workers,
      summary: {
        running: of("RUNNING"),
        idle: 0,
        initializing: of("INITIALIZING"),
        throttled: 0,
        unhealthy: 0,
        total: workers.length,
      },
      endpointVersion: 1,
    };
  };
  const bill = ({ pathname, searchParams }: URL): object => {
    const isPods = pathname.endsWith("pods");
    const id = searchParams.get(isPods ? "podId" : "serverlessId");
    const amountsOf = (totalAmount: number): object => ({
      totalAmount,
      gpuAmount: totalAmount,
      cpuAmount: 0,
      diskAmount: 0,
      ...(!isPods && { feeAmount: 0 }),
    });
    const from = Date.parse(searchParams.get("startTime") ?? new Date(now() - 30 * 86_400_000).toISOString());
    const to = Date.parse(searchParams.get("endTime") ?? new Date(now()).toISOString());
    const rangeOf = (start: number, end: number): object => ({
      startTime: new Date(start).toISOString(),
      endTime: new Date(end).toISOString(),
    });
    const records = cloud
      .bill()
      .filter(({ thing, day }) => isEndpoint(thing) !== isPods && (id === null || thing.id === id) && isWithin(day, from, to));
    const metadata = {
      query: {
        ...rangeOf(from, to),
        bucketSize: searchParams.get("bucketSize") ?? "day",
        ...(id !== null && { [isPods ? "podId" : "serverlessId"]: id }),
      },
      recordCount: records.length,
      totals: amountsOf(records.reduce((sum, { micros }) => sum + micros, 0) / 1e6),
      [isPods ? "uniquePodCount" : "uniqueServerlessCount"]: new Set(records.map(({ thing }) => thing.id)).size,
    };
    const shown = records.map(({ thing, day, micros }) => ({
      ...rangeOf(Date.parse(day), Date.parse(day) + 86_400_000),
      [isPods ? "podId" : "serverlessId"]: thing.id,
      ...amountsOf(micros / 1e6),
    }));
    return shaped(isPods ? shapes.podBilling : shapes.serverlessBilling, { records: shown, metadata }, "billing");
  };

  const server = await serve((heard) => {
    const refused = refusal(cloud, heard, apiKey);
    if (refused) return refused;
    for (const [method, pattern, handle] of routes) {
      const found = pattern.exec(heard.url.pathname);
      if (found && method === heard.method) return handle(heard, decodeURIComponent(found[1] ?? ""));
    }
    return missing();
  });
  return { url: server.url, apiKey, lying: cloud.lying, keys, heard: server.heard, close: server.close };
}

const isWithin = (day: string, from: number, to: number): boolean => Date.parse(day) + 86_400_000 > from && Date.parse(day) < to;

/** Who may not, and when nobody may. */
function refusal(cloud: Cloud, { headers }: Heard, apiKey: string): Reply | undefined {
  if (cloud.is("down")) return { status: 502, body: "<html>Bad gateway</html>" };
  if (headers.authorization !== `Bearer ${apiKey}` || cloud.is("keyRevoked"))
    return problem(401, "Unauthorized", `invalid bearer token ${String(headers.authorization)}`);
  const windows = { ratelimit: '"minute";r=0;t=12, "hour";r=2800;t=1812', "retry-after": "12" };
  if (cloud.is("rateLimited"))
    return { ...problem(429, "Too Many Requests", "rate limit exceeded for the minute window"), headers: windows };
  return cloud.is("rateLimitedSilently") ? problem(429, "Too Many Requests", "rate limit exceeded") : undefined;
}

/** Unknown fields are refused, and told in words of the schema. */
function validated(heard: Heard, shape: Shape, go: (body: Record<string, unknown>) => Reply | typeof lost): Reply | typeof lost {
  const body = JSON.parse(heard.body) as Record<string, unknown>;
  const errors = mismatches(shape, body);
  return errors.length > 0
    ? json(422, { title: "Unprocessable Entity", status: 422, detail: "Request validation failed.", errors })
    : go(body);
}

const isEndpoint = (thing: Thing): boolean => thing.place === "serverless";
const missing = (): Reply => problem(404, "Not Found", "resource not found");
const problem = (status: number, title: string, detail: string): Reply => ({
  status,
  headers: { "content-type": "application/problem+json" },
  body: JSON.stringify(shaped(shapes.problem, { title, status, detail }, "a problem")),
});
const json = (status: number, body: object): Reply => ({
  status,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});
/** Resumes after the event that was seen last. */
const logs = (id: string, after: unknown): Reply => {
  const events = ["one", "two"].map((line, index) => ({
    id: `2026-06-01T12:02:0${index}Z/${id}`,
    ts: `2026-06-01T12:02:0${index}Z`,
    line,
  }));
  return {
    status: 200,
    headers: { "content-type": "text/event-stream" },
    body: events
      .slice(events.findIndex((event) => event.id === after) + 1)
      .map(({ id: event, ...said }) => `id: ${event}\ndata: ${JSON.stringify({ source: "container", ...said })}\n\n`)
      .join(""),
  };
};
const gpuEntry = ({ price, most, places, ...gpu }: (typeof gpus)[number], query: URLSearchParams): object => ({
  ...gpu,
  manufacturer: "NVIDIA",
  secure: true,
  community: false,
  price: { secure: price, community: price / 2, serverless: price * 1.6 },
  maxCount: { secure: most, community: 1 },
  ...(query.get("include") === "AVAILABILITY" && {
    availability: "MEDIUM",
    dataCenters: places.map((id) => ({ id, name: id, availability: "MEDIUM" })),
  }),
});
const cpuEntry = ({ price, places, ...cpu }: (typeof cpus)[number]): object => ({
  ...cpu,
  vcpu: { min: 2, max: 32 },
  price: { securePerVcpu: price, serverlessPerVcpu: price * 1.3 },
  availability: "HIGH",
  dataCenters: places.map((id) => ({ id, name: id, availability: "HIGH" })),
});
