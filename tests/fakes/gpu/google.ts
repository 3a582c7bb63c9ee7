/**
 * Google Cloud by REST as appliance/gpu/google meets it: tokens for signed assertions (the signature is checked), Compute Engine with
 * operations that end later and carry errors, request ids that make creates the same, the timer that deletes machines, Vertex's jobs,
 * the catalog of prices. Prices and quotas are the emulator's own. It refuses fields that the official client does not know.
 */
import { createVerify, generateKeyPairSync } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { lost, openCloud, serve, type Cloud, type Heard, type Reply, type Thing } from "./cloud.ts";
import type { Fault, Lying } from "./fault.ts";
import { instanceFields, machines, schedulingFields, skuPages } from "./googleKinds.ts";

export type GoogleEmulator = {
  readonly url: string;
  /** The JSON of the service account's key. */
  readonly serviceAccount: string;
  readonly lying: Lying;
  readonly cloud: Cloud;
  readonly heard: readonly Heard[];
  /** By metric; of the project and of each region. */
  readonly quotas: Map<string, number>;
  /** Permissions that the account lacks. */
  readonly lacking: Set<string>;
  shutDownInside(id: string): void;
  close(): Promise<void>;
};

const can: readonly Fault[] = [
  "createReplyLostAfter",
  "createReplyLostBefore",
  "createErrorButExists",
  "describeMissingAtFirst",
  "listOmitsOnce",
  "terminateIgnoredTwice",
  "terminateFails",
  "terminateMissing",
  "disappears",
  "preempted",
  "noCapacity",
  "quota",
  "balance",
  "rateLimited",
  "rateLimitedSilently",
  "keyRevoked",
  "tokenExpired",
  "satelliteLeft",
  "ttlNotEnforced",
  "down",
  "priceDoubled",
  "pricesDown",
  "billLate",
  "billMissesHours",
  "billOtherCurrency",
];
const project = "nika-exam";
const lagMs = 2_000;
const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const account = {
  type: "service_account",
  project_id: project,
  private_key_id: "exam",
  private_key: privateKey.export({ type: "pkcs8", format: "pem" }),
  client_email: "nika@nika-exam.iam.gserviceaccount.com",
  token_uri: "https://oauth2.googleapis.com/token",
};

type State = {
  readonly cloud: Cloud;
  readonly tokens: Map<string, number>;
  /** By their names, with what they came to. */
  readonly operations: Map<string, Record<string, unknown>>;
  /** Answers by request id. */
  readonly requests: Map<string, { readonly body: unknown; readonly operation: string }>;
  readonly quotas: Map<string, number>;
  readonly lacking: Set<string>;
};
type Asked = { readonly state: State; readonly heard: Heard; readonly parts: readonly string[] };

export async function openGoogleEmulator({ now }: { readonly now: () => number }): Promise<GoogleEmulator> {
  const cloud = openCloud({ now, can });
  const state: State = {
    cloud,
    tokens: new Map(),
    operations: new Map(),
    requests: new Map(),
    lacking: new Set(),
    quotas: new Map([
      ["GPUS_ALL_REGIONS", 8],
      ["NVIDIA_L4_GPUS", 8],
      ["PREEMPTIBLE_NVIDIA_L4_GPUS", 8],
    ]),
  };
  const server = await serve((heard) => answer(state, heard));
  return {
    url: server.url,
    serviceAccount: JSON.stringify(account),
    lying: cloud.lying,
    cloud,
    heard: server.heard,
    quotas: state.quotas,
    lacking: state.lacking,
    shutDownInside(id) {
      const thing = cloud.findById(id);
      if (thing) cloud.stop(thing);
    },
    close: server.close,
  };
}

function answer(state: State, heard: Heard): Reply | typeof lost {
  const { cloud } = state;
  const path = heard.url.pathname;
  if (path === "/token") return token(state, heard);
  if (cloud.is("down")) return fail(503, "backendError", "Backend Error", "UNAVAILABLE");
  const bearer = heard.headers.authorization?.replace("Bearer ", "") ?? "";
  if (cloud.take("tokenExpired")) state.tokens.delete(bearer);
  if (cloud.is("keyRevoked") || (state.tokens.get(bearer) ?? 0) <= cloud.now())
    return fail(401, "authError", "Invalid Credentials", "UNAUTHENTICATED");
  if (cloud.is("rateLimited") || cloud.is("rateLimitedSilently"))
    return {
      ...fail(403, "rateLimitExceeded", "Rate Limit Exceeded", "PERMISSION_DENIED"),
      headers: { "content-type": "application/json", ...(cloud.is("rateLimited") ? { "retry-after": "20" } : {}) },
    };
  for (const [method, pattern, act] of routes) {
    const parts = heard.method === method ? pattern.exec(path) : null;
    if (parts) return act({ state, heard, parts: parts.slice(1).map((part) => decodeURIComponent(part ?? "")) });
  }
  return fail(404, "notFound", `The requested URL ${path} was not found`, "NOT_FOUND");
}

function token({ cloud, tokens }: State, heard: Heard): Reply {
  const assertion = new URLSearchParams(heard.body).get("assertion") ?? "";
  const [head = "", claims = "", signature = ""] = assertion.split(".");
  const isSigned = createVerify("RSA-SHA256").update(`${head}.${claims}`).verify(publicKey, signature, "base64url");
  const { iss, aud, exp } = JSON.parse(Buffer.from(claims, "base64url").toString()) as { iss: string; aud: string; exp: number };
  if (
    cloud.is("keyRevoked") ||
    !isSigned ||
    iss !== account.client_email ||
    aud !== account.token_uri ||
    exp * 1000 <= cloud.now()
  )
    return json({ error: "invalid_grant", error_description: "Invalid JWT Signature." }, 400);
  const text = cloud.nextId("ya29.exam-");
  tokens.set(text, cloud.now() + 3_600_000);
  return json({ access_token: text, expires_in: 3599, token_type: "Bearer" });
}

const compute = String.raw`^/compute/v1/projects/${project}`;
const route = (method: string, rest: string, act: (one: Asked) => Reply | typeof lost): readonly [string, RegExp, typeof act] => [
  method,
  new RegExp(rest),
  act,
];
/** The export of the bill, as BigQuery answers the one question that is asked of it: cells are texts in the order of the columns. */
function query({ state: { cloud }, heard }: Asked): Reply {
  const asked = JSON.parse(heard.body) as {
    query: string;
    useLegacySql: boolean;
    queryParameters: readonly { name: string; parameterValue: { value: string } }[];
  };
  const valueOf = (name: string): string => asked.queryParameters.find((one) => one.name === name)?.parameterValue.value ?? "";
  const [, label = ""] = /WHERE key = '([a-z-]+)'/.exec(asked.query) ?? [];
  if (asked.useLegacySql || !asked.query.includes("`nika.billing.gcp_billing_export_v1_0`") || label === "")
    return fail(400, "invalidQuery", "Syntax error", "INVALID_ARGUMENT");
  const sums = new Map<string, { day: string; install: string; micros: number }>();
  for (const { thing, day, micros } of cloud.bill()) {
    if (day < valueOf("first") || day > valueOf("last")) continue;
    const install = thing.tags[label] ?? "";
    const sum = sums.get(`${day} ${install}`) ?? { day, install, micros: 0 };
    sum.micros += micros;
    sums.set(`${day} ${install}`, sum);
  }
  const cells = (values: readonly string[]): object => ({ f: values.map((v) => ({ v })) });
  return json({
    kind: "bigquery#queryResponse",
    jobComplete: true,
    schema: { fields: ["day", "install", "currency", "cost"].map((name) => ({ name, type: "STRING", mode: "NULLABLE" })) },
    totalRows: String(sums.size),
    rows: [...sums.values()].map(({ day, install, micros }) =>
      cells([day, install, cloud.billCurrency("USD"), (micros / 1e6).toFixed(6)]),
    ),
  });
}

const routes = [
  route("POST", "^/bigquery/v2/projects/([^/]+)/queries$", query),
  route("POST", `${compute}/zones/([^/]+)/instances$`, insert),
  route("POST", `${compute}/zones/([^/]+)/operations/([^/]+)/wait$`, ({ state, parts }) =>
    json(state.operations.get(parts[1] ?? "") ?? {}),
  ),
  route("GET", `${compute}/zones/([^/]+)/instances/([^/]+)/serialPort$`, () =>
    json({ contents: "cloud-init: nika agent starts\n", start: "0", next: "30" }),
  ),
  route("GET", `${compute}/zones/([^/]+)/instances/([^/]+)$`, ({ state: { cloud }, parts: [zone, name] }) => {
    const thing = instance(cloud, zone, name);
    const isTooNew = thing && cloud.is("describeMissingAtFirst") && cloud.now() - thing.bornAt < 20_000;
    return thing && !isTooNew ? json(instanceOf(thing, cloud)) : missing(name);
  }),
  route("DELETE", `${compute}/zones/([^/]+)/instances/([^/]+)$`, ({ state: { cloud }, parts: [zone, name] }) => {
    if (cloud.is("terminateFails")) return fail(503, "backendError", "Backend Error", "UNAVAILABLE");
    const thing = instance(cloud, zone, name);
    if (!thing) return missing(name);
    const isDenied = cloud.take("terminateMissing");
    cloud.end(thing, "us");
    return isDenied ? missing(name) : json({ kind: "compute#operation", name: cloud.nextId("operation-"), status: "RUNNING" });
  }),
  route("GET", `${compute}/zones/([^/]+)/disks/([^/]+)$`, ({ state: { cloud }, parts: [zone, name] }) => {
    const disk = diskOf(cloud, zone, name);
    return disk && !cloud.is("describeMissingAtFirst") ? json({ name, zone: `zones/${zone}`, labels: disk.tags }) : missing(name);
  }),
  route("DELETE", `${compute}/zones/([^/]+)/disks/([^/]+)$`, ({ state: { cloud }, parts: [zone, name] }) => {
    const disk = diskOf(cloud, zone, name);
    if (!disk?.disk) return missing(name);
    if (cloud.stateOf(disk) !== "gone")
      return fail(400, "resourceInUseByAnotherResource", `The disk resource '${name}' is already being used`, "INVALID_ARGUMENT");
    disk.disk.goneAt = cloud.now();
    return json({ kind: "compute#operation", name: cloud.nextId("operation-"), status: "RUNNING" });
  }),
  route("GET", `${compute}/aggregated/instances$`, ({ state: { cloud }, heard }) =>
    aggregated(
      heard,
      "instances",
      cloud
        .listed(lagMs)
        .filter((one) => isMachine(one) && isAsked(one, heard) && cloud.stateOf(one) !== "gone")
        .map((one) => instanceOf(one, cloud)),
    ),
  ),
  route("GET", `${compute}/aggregated/disks$`, ({ state: { cloud }, heard }) =>
    aggregated(
      heard,
      "disks",
      cloud.things
        .filter((one) => isMachine(one) && isAsked(one, heard) && diskOf(cloud, one.place, one.name))
        .map((one) => ({
          name: one.name,
          zone: `zones/${one.place}`,
          labels: one.tags,
          ...(cloud.stateOf(one) === "gone" ? {} : { users: [`zones/${one.place}/instances/${one.name}`] }),
        })),
    ),
  ),
  route("GET", `${compute}/aggregated/machineTypes$`, ({ heard }) => {
    const pattern = new RegExp(/name eq "(.*)"$/.exec(heard.url.searchParams.get("filter") ?? "")?.[1] ?? ".*");
    return aggregated(
      heard,
      "machineTypes",
      machines.filter(({ name }) => new RegExp(`^${pattern.source}$`).test(name)),
    );
  }),
  route("GET", `${compute}/aggregated/acceleratorTypes$`, ({ heard }) =>
    aggregated(heard, "acceleratorTypes", [{ name: "nvidia-tesla-t4", zone: "zones/europe-west4-b" }]),
  ),
  route("GET", `${compute}/regions/([^/]+)$`, ({ state: { quotas }, parts: [region] }) =>
    json({
      name: region,
      quotas: [...quotas]
        .filter(([metric]) => metric !== "GPUS_ALL_REGIONS")
        .map(([metric, limit]) => ({ metric, limit, usage: 0 })),
    }),
  ),
  route("GET", `${compute}$`, ({ state: { quotas } }) =>
    json({ name: project, quotas: [{ metric: "GPUS_ALL_REGIONS", limit: quotas.get("GPUS_ALL_REGIONS") ?? 0, usage: 0 }] }),
  ),
  route("GET", "^/compute/v1/projects/deeplearning-platform-release/global/images$", () =>
    json({
      items: [
        { name: "common-cu128-ubuntu-2204-nvidia-570-v20260801", creationTimestamp: "2026-08-01T00:00:00Z" },
        { name: "common-cu129-ubuntu-2204-nvidia-580-v20261101", creationTimestamp: "2026-11-01T00:00:00Z" },
        {
          name: "common-cu130-ubuntu-2204-nvidia-590-v20261110",
          creationTimestamp: "2026-11-10T00:00:00Z",
          deprecated: { state: "DEPRECATED" },
        },
      ],
    }),
  ),
  route("POST", `^/v1/projects/${project}:testIamPermissions$`, ({ state: { lacking }, heard }) => {
    const { permissions } = JSON.parse(heard.body) as { permissions: readonly string[] };
    return json({ permissions: permissions.filter((one) => !lacking.has(one)) });
  }),
  route("GET", "^/v1/services/([^/]+)/skus$", ({ state: { cloud }, heard, parts: [service = ""] }) => {
    if (cloud.is("pricesDown")) return fail(503, "backendError", "Backend Error", "UNAVAILABLE");
    const pages = skuPages[service] ?? [[]];
    const at = Number(heard.url.searchParams.get("pageToken") ?? 0);
    return json({ skus: pages[at], nextPageToken: at + 1 < pages.length ? String(at + 1) : "" });
  }),
  route("POST", `^/v1/projects/${project}/locations/([^/]+)/customJobs$`, createJob),
  route("GET", `^/v1/projects/${project}/locations/([^/]+)/customJobs$`, ({ state: { cloud }, heard, parts: [region] }) => {
    const filter = heard.url.searchParams.get("filter") ?? "";
    const named = /^display_name="(.*)"$/.exec(filter)?.[1];
    const shown = named === undefined ? cloud.listed(lagMs) : cloud.things;
    const jobs = shown.filter(
      (one) => one.asked["isJob"] === true && one.place === region && (named === undefined || one.name === named),
    );
    const from = Number(heard.url.searchParams.get("pageToken") ?? 0);
    return json({
      customJobs: jobs.slice(from, from + 2).map((one) => jobOf(one, cloud)),
      ...(from + 2 < jobs.length ? { nextPageToken: String(from + 2) } : {}),
    });
  }),
  route("GET", `^/v1/(projects/${project}/locations/[^/]+/customJobs/[^/:]+)$`, ({ state: { cloud }, parts: [id = ""] }) => {
    const job = cloud.findById(id);
    const isTooNew = job && cloud.is("describeMissingAtFirst") && cloud.now() - job.bornAt < 20_000;
    return job && !isTooNew ? json(jobOf(job, cloud)) : missing(id);
  }),
  route(
    "POST",
    `^/v1/(projects/${project}/locations/[^/]+/customJobs/[^/:]+):cancel$`,
    ({ state: { cloud }, parts: [id = ""] }) => {
      if (cloud.is("terminateFails")) return fail(503, "backendError", "Backend Error", "UNAVAILABLE");
      const job = cloud.findById(id);
      if (!job) return missing(id);
      const isDenied = cloud.take("terminateMissing");
      cloud.end(job, "us");
      return isDenied ? missing(id) : json({});
    },
  ),
  route("POST", "^/v2/entries:list$", ({ heard }) =>
    json({ entries: /timestamp>/.test(heard.body) ? [] : [{ textPayload: "step 1", timestamp: "2026-11-21T12:00:01Z" }] }),
  ),
];

function insert({ state, heard, parts: [zone = ""] }: Asked): Reply | typeof lost {
  const { cloud, operations, requests, quotas } = state;
  const body = JSON.parse(heard.body) as Record<string, unknown>;
  const wrong = wrongIn(body, heard.url.searchParams.get("requestId"));
  if (wrong !== undefined) return fail(400, "invalid", wrong, "INVALID_ARGUMENT");
  if (cloud.take("createReplyLostBefore")) return lost;
  if (cloud.is("balance")) return fail(403, "billingNotEnabled", `Project ${project} has billing disabled.`, "PERMISSION_DENIED");
  const requestId = heard.url.searchParams.get("requestId") ?? "";
  const before = requests.get(requestId);
  if (before) {
    if (!isDeepStrictEqual(before.body, body))
      return fail(409, "requestIdMismatch", "The request id was used with another request", "ABORTED");
    return json(operations.get(before.operation) ?? {});
  }
  const name = body["name"] as string;
  if (instance(cloud, zone, name)) return fail(409, "alreadyExists", `The resource '${name}' already exists`, "ALREADY_EXISTS");
  const machine = machines.find(
    (one) => one.name === (body["machineType"] as string).split("/").at(-1) && one.zone.endsWith(zone),
  );
  if (!machine) return fail(400, "invalid", "Invalid value for field 'resource.machineType'", "INVALID_ARGUMENT");
  const scheduling = body["scheduling"] as { provisioningModel: string; maxRunDuration: { seconds: string } };
  const operation = cloud.nextId("operation-");
  const ended = (error?: object): Reply => {
    // Not at once: the answer to insert is an operation that runs.
    operations.set(operation, { kind: "compute#operation", name: operation, status: "DONE", ...error });
    requests.set(requestId, { body, operation });
    return json({ kind: "compute#operation", name: operation, status: "RUNNING", operationType: "insert" });
  };
  if (cloud.is("noCapacity")) {
    const code = "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS";
    return ended({
      httpErrorStatusCode: 503,
      error: {
        errors: [{ code, message: `The zone '${zone}' does not have enough resources available to fulfill the request.` }],
      },
    });
  }
  if (cloud.is("quota") || (quotas.get("NVIDIA_L4_GPUS") ?? 0) === 0)
    return ended({
      httpErrorStatusCode: 403,
      error: {
        errors: [
          { code: "QUOTA_EXCEEDED", message: `Quota 'NVIDIA_L4_GPUS' exceeded.  Limit: 0.0 in region ${zone.slice(0, -2)}.` },
        ],
      },
    });
  const isSpot = scheduling.provisioningModel === "SPOT";
  const [disk] = body["disks"] as readonly [{ autoDelete?: boolean }];
  cloud.add({
    id: `${zone}/${name}`,
    name,
    place: zone,
    type: machine.name,
    tags: body["labels"] as Record<string, string>,
    isSpot,
    hourlyMicros: isSpot ? 300_000 : 800_000,
    ttlAt: cloud.now() + Number(scheduling.maxRunDuration.seconds) * 1_000,
    disk: { id: `${zone}/disks/${name}`, hourlyMicros: 11_000 },
    leavesDisk: disk.autoDelete !== true,
    asked: { body },
  });
  const reply = ended();
  if (cloud.take("createReplyLostAfter")) return lost;
  if (cloud.take("createErrorButExists")) return fail(503, "backendError", "Backend Error", "UNAVAILABLE");
  return reply;
}

/** What Google would refuse: unknown fields, labels and names in other letters, a request id that is no UUID. */
function wrongIn(body: Record<string, unknown>, requestId: string | null): string | undefined {
  const unknown = [
    ...Object.keys(body).filter((field) => !instanceFields.has(field)),
    ...Object.keys(body["scheduling"] ?? {}).filter((field) => !schedulingFields.has(field)),
  ];
  if (unknown.length > 0) return `Invalid JSON payload received. Unknown name "${unknown[0]}"`;
  if (!/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/.test(String(body["name"]))) return "Invalid value for field 'resource.name'";
  if (requestId !== null && !/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(requestId))
    return "Invalid value for requestId";
  const labels = Object.entries((body["labels"] ?? {}) as Record<string, string>);
  if (labels.some(([name, value]) => !/^[a-z][-_a-z0-9]{0,62}$/.test(name) || !/^[-_a-z0-9]{0,63}$/.test(value)))
    return "Invalid label";
  const seconds = Number((body["scheduling"] as { maxRunDuration?: { seconds?: string } }).maxRunDuration?.seconds);
  return seconds >= 30 && seconds <= 10_368_000 ? undefined : "Invalid value for field 'resource.scheduling.maxRunDuration'";
}

function createJob({ state: { cloud }, heard, parts: [region = ""] }: Asked): Reply | typeof lost {
  const body = JSON.parse(heard.body) as {
    displayName?: string;
    labels?: Record<string, string>;
    jobSpec?: { scheduling?: { timeout?: string } };
  };
  const timeout = /^(\d+)s$/.exec(body.jobSpec?.scheduling?.timeout ?? "")?.[1];
  if (body.displayName === undefined || timeout === undefined)
    return fail(400, "", "Required field is not set.", "INVALID_ARGUMENT");
  if (cloud.take("createReplyLostBefore")) return lost;
  if (cloud.is("balance")) return fail(403, "billingNotEnabled", `Project ${project} has billing disabled.`, "PERMISSION_DENIED");
  if (cloud.is("noCapacity")) return fail(429, "", `Resources are insufficient in region: ${region}.`, "RESOURCE_EXHAUSTED");
  if (cloud.is("quota"))
    return fail(
      429,
      "",
      "The following quota metrics exceed quota limits: aiplatform.googleapis.com/custom_model_training_nvidia_l4_gpus",
      "RESOURCE_EXHAUSTED",
    );
  const job = cloud.add({
    id: `projects/${project}/locations/${region}/customJobs/${cloud.nextId("", 12)}`,
    name: body.displayName,
    place: region,
    type: "job",
    tags: body.labels ?? {},
    isSpot: false,
    hourlyMicros: 900_000,
    ttlAt: cloud.now() + Number(timeout) * 1_000,
    asked: { isJob: true, body },
  });
  if (cloud.take("createReplyLostAfter")) return lost;
  if (cloud.take("createErrorButExists")) return fail(503, "", "The service is currently unavailable.", "UNAVAILABLE");
  return json(jobOf(job, cloud));
}

const jobStates = {
  booting: "JOB_STATE_PENDING",
  running: "JOB_STATE_RUNNING",
  stopped: "JOB_STATE_RUNNING",
  ending: "JOB_STATE_CANCELLING",
  gone: "JOB_STATE_CANCELLED",
} as const;
const jobOf = (job: Thing, cloud: Cloud): object => ({
  name: job.id,
  displayName: job.name,
  labels: job.tags,
  createTime: new Date(job.bornAt).toISOString(),
  state: cloud.stateOf(job) === "gone" && job.wentBy === "vendor" ? "JOB_STATE_FAILED" : jobStates[cloud.stateOf(job)],
});

const isMachine = (thing: Thing): boolean => thing.asked["isJob"] !== true;
const isAsked = (thing: Thing, heard: Heard): boolean => {
  const label = /^labels\.([^:]+):\*$/.exec(heard.url.searchParams.get("filter") ?? "")?.[1];
  return label === undefined || label in thing.tags;
};
const instance = (cloud: Cloud, zone: string | undefined, name: string | undefined): Thing | undefined =>
  cloud.things.find((one) => one.id === `${zone}/${name}` && cloud.stateOf(one) !== "gone");
const diskOf = (cloud: Cloud, zone: string | undefined, name: string | undefined): Thing | undefined =>
  cloud.things.find(
    (one) => one.id === `${zone}/${name}` && one.disk && (one.disk.goneAt === undefined || one.disk.goneAt > cloud.now()),
  );

const states = { booting: "STAGING", running: "RUNNING", stopped: "TERMINATED", ending: "STOPPING", gone: "TERMINATED" } as const;
const instanceOf = (thing: Thing, cloud: Cloud): object => ({
  name: thing.name,
  zone: `https://www.googleapis.com/compute/v1/projects/${project}/zones/${thing.place}`,
  status: states[cloud.stateOf(thing)],
  labels: thing.tags,
  creationTimestamp: new Date(thing.bornAt).toISOString(),
  disks: [
    { boot: true, source: `https://www.googleapis.com/compute/v1/projects/${project}/zones/${thing.place}/disks/${thing.name}` },
  ],
  networkInterfaces: [{ accessConfigs: cloud.stateOf(thing) === "running" ? [{ natIP: "203.0.113.9" }] : [] }],
});

/** Two to a page, by zone; zones with nothing say so, as Google's do. */
function aggregated(heard: Heard, name: string, all: readonly object[]): Reply {
  const from = Number(heard.url.searchParams.get("pageToken") ?? 0);
  const page = all.slice(from, from + 2);
  const items: Record<string, unknown> = {
    "zones/us-east1-b": { warning: { code: "NO_RESULTS_ON_PAGE", message: "There are no results" } },
  };
  for (const one of page) {
    const zone = `zones/${String((one as { zone?: unknown }).zone)
      .split("/")
      .at(-1)}`;
    const there = (items[zone] as { [name]: unknown[] } | undefined)?.[name] ?? [];
    items[zone] = { [name]: [...there, one] };
  }
  return json({ items, ...(from + 2 < all.length ? { nextPageToken: String(from + 2) } : {}) });
}

const missing = (name: string | undefined): Reply => fail(404, "notFound", `The resource '${name}' was not found`, "NOT_FOUND");
const json = (body: object, status = 200, headers: Readonly<Record<string, string>> = {}): Reply => ({
  status,
  headers: { "content-type": "application/json; charset=UTF-8", ...headers },
  body: JSON.stringify(body),
});
const fail = (code: number, reason: string, message: string, status: string): Reply =>
  json({ error: { code, message, status, errors: [{ reason, message, domain: "global" }] } }, code);
