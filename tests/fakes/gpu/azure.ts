/**
 * Azure as appliance/gpu/azure meets it: tokens for a secret, groups of resources, operations that end later and may fail with a machine
 * left behind, its jobs, its lists of kinds and prices. Prices and quotas are the emulator's own. Shutting down inside goes on being
 * billed. It refuses fields of machines that the official client does not know.
 */
import { machineFields, skus, retail } from "./azureKinds.ts";
import { lost, openCloud, serve, type Cloud, type Heard, type Reply, type Thing } from "./cloud.ts";
import type { Fault, Lying } from "./fault.ts";

export type AzureEmulator = {
  readonly url: string;
  readonly key: { readonly tenant: string; readonly client: string; readonly secret: string; readonly subscription: string };
  readonly lying: Lying;
  readonly cloud: Cloud;
  readonly heard: readonly Heard[];
  /** Cores left by name of family. */
  readonly quotas: Map<string, number>;
  /** Actions that the application lacks. */
  readonly lacking: Set<string>;
  /** Names of groups that are there, ours or not. */
  groups(): readonly string[];
  shutDownInside(name: string): void;
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
  "down",
  "priceDoubled",
  "pricesDown",
  "billLate",
  "billMissesHours",
  "billOtherCurrency",
];
const key = {
  tenant: "11111111-aaaa-4aaa-8aaa-111111111111",
  client: "22222222-bbbb-4bbb-8bbb-222222222222",
  secret: "exam~secret.of-an-application",
  subscription: "33333333-cccc-4ccc-8ccc-333333333333",
};
const lagMs = 3_000;
const groupEndMs = 20_000;

type Group = {
  readonly name: string;
  readonly location: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly bornAt: number;
  readonly parts: Set<string>;
  deletingAt?: number;
};
type State = {
  readonly cloud: Cloud;
  readonly tokens: Map<string, number>;
  readonly groups: Map<string, Group>;
  readonly operations: Map<string, object>;
  readonly environments: Set<string>;
  readonly quotas: Map<string, number>;
  readonly lacking: Set<string>;
  readonly url: () => string;
};
type Asked = {
  readonly state: State;
  readonly heard: Heard;
  readonly parts: readonly string[];
  readonly body: Record<string, unknown>;
};

export async function openAzureEmulator({ now }: { readonly now: () => number }): Promise<AzureEmulator> {
  const cloud = openCloud({ now, can, isStoppedBilled: true });
  const state: State = {
    cloud,
    tokens: new Map(),
    groups: new Map(),
    operations: new Map(),
    environments: new Set(),
    lacking: new Set(),
    quotas: new Map([
      ["Standard NCASv3_T4 Family vCPUs", 64],
      ["Standard NCADS_A100_v4 Family vCPUs", 0],
    ]),
    url: () => server.url,
  };
  const server = await serve((heard) => answer(state, heard));
  return {
    url: server.url,
    key,
    lying: cloud.lying,
    cloud,
    heard: server.heard,
    quotas: state.quotas,
    lacking: state.lacking,
    groups: () => [...state.groups.values()].filter((one) => isThere(one, state)).map(({ name }) => name),
    shutDownInside(name) {
      const thing = cloud.findById(name);
      if (thing) cloud.stop(thing);
    },
    close: server.close,
  };
}

function answer(state: State, heard: Heard): Reply | typeof lost {
  const { cloud } = state;
  const path = heard.url.pathname;
  if (path === `/${key.tenant}/oauth2/v2.0/token`) return token(state, heard);
  if (path === "/api/retail/prices" && cloud.is("pricesDown"))
    return fail(503, "ServiceUnavailable", "The service is unavailable.");
  if (path === "/api/retail/prices") return prices(heard);
  if (path.startsWith("/blob/")) return blob(heard);
  if (cloud.is("down")) return fail(503, "ServiceUnavailable", "The service is unavailable.");
  const bearer = heard.headers.authorization?.replace("Bearer ", "") ?? "";
  if (cloud.take("tokenExpired")) state.tokens.delete(bearer);
  if (cloud.is("keyRevoked") || (state.tokens.get(bearer) ?? 0) <= cloud.now())
    return fail(401, "InvalidAuthenticationToken", "The access token is invalid.");
  if (cloud.is("rateLimited") || cloud.is("rateLimitedSilently"))
    return {
      ...fail(429, "TooManyRequests", "The request is being throttled."),
      headers: { "content-type": "application/json", ...(cloud.is("rateLimited") ? { "retry-after": "17" } : {}) },
    };
  if (!heard.url.searchParams.has("api-version") && !path.startsWith("/history/"))
    return fail(
      400,
      "MissingApiVersionParameter",
      "The api-version query parameter (?api-version=) is required for all requests.",
    );
  const body = heard.body === "" ? {} : (JSON.parse(heard.body) as Record<string, unknown>);
  for (const [method, pattern, act] of routes) {
    const parts = heard.method === method ? pattern.exec(path) : null;
    if (parts) return act({ state, heard, body, parts: parts.slice(1).map((part) => decodeURIComponent(part ?? "")) });
  }
  return fail(404, "ResourceNotFound", `The Resource '${path}' was not found.`);
}

/** A job's output in the workspace's store, for who has the key in its address and brings no other. */
function blob({ headers, url }: Heard): Reply {
  if (url.searchParams.get("sig") !== "key" || headers.authorization !== undefined)
    return fail(403, "AuthenticationFailed", "Server failed to authenticate the request.");
  const text = "epoch 1\nepoch 2\n";
  const from = Number(/^bytes=(\d+)-$/.exec(headers.range ?? "")?.[1] ?? 0);
  if (from >= text.length) return { status: 416, body: "" };
  return { status: 206, headers: { "content-type": "application/octet-stream" }, body: text.slice(from) };
}

function token({ cloud, tokens }: State, heard: Heard): Reply {
  const asked = new URLSearchParams(heard.body);
  if (cloud.is("keyRevoked") || asked.get("client_secret") !== key.secret || asked.get("client_id") !== key.client)
    return json({ error: "invalid_client", error_description: "AADSTS7000215: Invalid client secret provided." }, 401);
  const text = cloud.nextId("eyJexam.");
  tokens.set(text, cloud.now() + 3_600_000);
  return json({ token_type: "Bearer", expires_in: 3599, access_token: text });
}

/** By the names in the filter, three to a page. */
function prices(heard: Heard): Reply {
  const filter = heard.url.searchParams.get("$filter") ?? "";
  const region = /armRegionName eq '([^']*)'/.exec(filter)?.[1] ?? "";
  const names = new Set([...filter.matchAll(/armSkuName eq '([^']*)'/g)].map(([, name = ""]) => name));
  const items = retail(region).filter((item) => names.has(item.armSkuName));
  const from = Number(heard.url.searchParams.get("$skip") ?? 0);
  const next = new URL(heard.url.href);
  next.searchParams.set("$skip", String(from + 3));
  return json({
    BillingCurrency: "USD",
    Items: items.slice(from, from + 3),
    NextPageLink: from + 3 < items.length ? `http://${heard.headers.host}${next.pathname}${next.search}` : null,
  });
}

const subscription = `/subscriptions/${key.subscription}`;
const inGroup = `^${subscription}/resourceGroups/([^/]+)`;
const workspace = `^${subscription}/resourceGroups/learning/providers/Microsoft.MachineLearningServices/workspaces/nika`;
const route = (method: string, rest: string, act: (one: Asked) => Reply | typeof lost): readonly [string, RegExp, typeof act] => [
  method,
  new RegExp(rest, "i"),
  act,
];
/** Of its answer to a question about costs: rows at a time. */
const billPage = 2;

/** By day and group of resources; a machine's group bears its name, and days are numbers. */
function costs({ state: { cloud, url }, heard, body }: Asked): Reply {
  const { type, timePeriod, dataset } = body as {
    type?: string;
    timePeriod?: { from: string; to: string };
    dataset?: { granularity?: string; grouping?: readonly { type: string; name: string }[] };
  };
  const [by] = dataset?.grouping ?? [];
  if (type !== "ActualCost" || !timePeriod || dataset?.granularity !== "Daily" || by?.name !== "ResourceGroupName")
    return fail(400, "BadRequest", "Invalid query definition.");
  const days = [timePeriod.from, timePeriod.to].map((at) => at.slice(0, 10));
  const rows = cloud
    .bill()
    .filter(({ day }) => day >= (days[0] ?? "") && day <= (days[1] ?? ""))
    .map(({ thing, day, micros }) => [
      micros / 1e6,
      Number(day.replaceAll("-", "")),
      thing.asked["isJob"] === true ? "nika-ml" : thing.name,
      cloud.billCurrency("USD"),
    ]);
  const from = Number(heard.url.searchParams.get("$skiptoken") ?? 0);
  const column = (name: string, of: string): object => ({ name, type: of });
  return json({
    id: "query",
    type: "Microsoft.CostManagement/query",
    properties: {
      nextLink:
        from + billPage < rows.length ? `${url()}${heard.url.pathname}?api-version=1&$skiptoken=${from + billPage}` : null,
      columns: [
        column("Cost", "Number"),
        column("UsageDate", "Number"),
        column("ResourceGroupName", "String"),
        column("Currency", "String"),
      ],
      rows: rows.slice(from, from + billPage),
    },
  });
}

const routes = [
  route("GET", `^${subscription}$`, () => json({ subscriptionId: key.subscription, displayName: "exam", state: "Enabled" })),
  route("GET", `^${subscription}/providers/Microsoft.Authorization/permissions$`, ({ state: { lacking } }) =>
    json({
      value: [{ actions: ["Microsoft.Compute/*", "Microsoft.Network/*", "Microsoft.Resources/*"], notActions: [...lacking] }],
    }),
  ),
  route("GET", `^${subscription}/providers/(Microsoft.(?:Compute|Network))$`, ({ parts: [name] }) =>
    json({ namespace: name, registrationState: "Registered" }),
  ),
  route("POST", `^${subscription}/providers/Microsoft.CostManagement/query$`, costs),
  route("GET", `^${subscription}/providers/Microsoft.Compute/skus$`, ({ heard }) =>
    json({ value: skus(/location eq '([^']*)'/.exec(heard.url.searchParams.get("$filter") ?? "")?.[1] ?? "") }),
  ),
  route("GET", `^${subscription}/providers/Microsoft.Compute/locations/([^/]+)/usages$`, ({ state: { quotas } }) =>
    json({
      value: [...quotas].map(([name, limit]) => ({
        unit: "Count",
        currentValue: 0,
        limit,
        name: { value: name, localizedValue: name },
      })),
    }),
  ),
  route("GET", `^${subscription}/providers/Microsoft.Compute/virtualMachines$`, ({ state, heard }) =>
    paged(
      heard,
      state.cloud
        .listed(lagMs)
        .filter((one) => !isJob(one) && isMachineThere(one, state.cloud))
        .map((one) => machineOf(one, state.cloud)),
    ),
  ),
  route("GET", `^${subscription}/resourcegroups$`, ({ state, heard }) => {
    const tag = /tagName eq '([^']*)'/.exec(heard.url.searchParams.get("$filter") ?? "")?.[1];
    const shown = [...state.groups.values()].filter(
      (one) => isThere(one, state) && one.bornAt + lagMs <= state.cloud.now() && (tag === undefined || tag in one.tags),
    );
    const found = state.cloud.take("listOmitsOnce") ? shown.slice(0, -1) : shown;
    return paged(
      heard,
      found.map((one) => groupOf(one)),
    );
  }),
  route("PUT", `${inGroup}$`, ({ state, parts: [name = ""], body }) => {
    const old = find(state, name);
    if (old?.deletingAt !== undefined)
      return fail(409, "ResourceGroupBeingDeleted", `The resource group '${name}' is in deprovisioning state`);
    if (old) return json(groupOf(old));
    const group: Group = {
      name,
      location: String(body["location"]),
      tags: (body["tags"] ?? {}) as Record<string, string>,
      bornAt: state.cloud.now(),
      parts: new Set(),
    };
    state.groups.set(name.toLowerCase(), group);
    return json(groupOf(group), 201);
  }),
  route("GET", `${inGroup}$`, ({ state, parts: [name = ""] }) => {
    const group = find(state, name);
    const isTooNew = group && state.cloud.is("describeMissingAtFirst") && state.cloud.now() - group.bornAt < 20_000;
    return group && !isTooNew ? json(groupOf(group)) : noGroup(name);
  }),
  route("DELETE", `${inGroup}$`, deleteGroup),
  route("GET", `${inGroup}/resources$`, ({ state, heard, parts: [name = ""] }) => {
    const group = find(state, name);
    return group ? paged(heard, resourcesOf(group, state)) : noGroup(name);
  }),
  route(
    "PUT",
    `${inGroup}/providers/Microsoft.Network/(networkSecurityGroups|virtualNetworks)/nika$`,
    ({ state, heard, parts: [name = "", kind = ""] }) => {
      const group = find(state, name);
      if (!group) return noGroup(name);
      group.parts.add(`Microsoft.Network/${kind}`);
      return begun(state, heard, { status: "Succeeded" }, { name: "nika", properties: { provisioningState: "Updating" } });
    },
  ),
  route("GET", `${inGroup}/providers/Microsoft.Network/publicIPAddresses$`, ({ state, parts: [name = ""] }) => {
    const thing = state.cloud.findById(name);
    return json({
      value:
        thing && state.cloud.stateOf(thing) === "running" ? [{ name: "nika", properties: { ipAddress: "203.0.113.11" } }] : [],
    });
  }),
  route("PUT", `${inGroup}/providers/Microsoft.Compute/virtualMachines/([^/]+)$`, putMachine),
  route("GET", `${inGroup}/providers/Microsoft.Compute/virtualMachines/([^/]+)$`, ({ state: { cloud }, parts: [name = ""] }) => {
    const thing = cloud.findById(name);
    return thing && isMachineThere(thing, cloud)
      ? json(machineOf(thing, cloud))
      : fail(404, "ResourceNotFound", `The Resource '${name}' was not found.`);
  }),
  route("PUT", `${inGroup}/providers/Microsoft.DevTestLab/schedules/[^/]+$`, ({ state: { cloud }, parts: [name = ""], body }) => {
    const { time } = (body["properties"] as { dailyRecurrence: { time: string } }).dailyRecurrence;
    const thing = cloud.findById(name);
    if (thing) {
      const at = new Date(cloud.now());
      at.setUTCHours(Number(time.slice(0, 2)), Number(time.slice(2)), 0, 0);
      // Deallocated then: no longer billed, but for its disk.
      thing.ttlAt = at.getTime() + (at.getTime() <= cloud.now() ? 86_400_000 : 0);
      thing.leavesDisk = true;
    }
    return json(body, 201);
  }),
  route("PUT", `${inGroup}/providers/Microsoft.Authorization/roleAssignments/[0-9a-f-]{36}$`, ({ body }) => json(body, 201)),
  route("GET", "^/operations/([^/]+)$", ({ state, parts: [id = ""] }) =>
    json(state.operations.get(id) ?? { status: "InProgress" }),
  ),
  route("GET", workspace.replace("^", "^/history/v1.0") + "/runs/([^/]+)/details$", ({ state, parts: [name = ""] }) => {
    const job = state.cloud.findById(`jobs/${name}`);
    if (!job) return fail(404, "UserError", "Run not found.");
    const logs = state.cloud.stateOf(job) === "booting" ? {} : { "user_logs/std_log.txt": `${state.url()}/blob/${name}?sig=key` };
    return json({ runId: name, status: "Running", logFiles: logs });
  }),
  route("GET", `${workspace}$`, ({ state: { url } }) =>
    json({ name: "nika", location: "westeurope", properties: { discoveryUrl: `${url()}/discovery` } }),
  ),
  route("GET", `${workspace}/environments/nika/versions/([^/]+)$`, ({ state, parts: [version = ""] }) =>
    state.environments.has(version) ? json({ name: version }) : fail(404, "ResourceNotFound", "Not found"),
  ),
  route("PUT", `${workspace}/environments/nika/versions/([^/]+)$`, ({ state, parts: [version = ""], body }) => {
    state.environments.add(version);
    return json(body, 201);
  }),
  route("PUT", `${workspace}/jobs/([^/]+)$`, putJob),
  route("GET", `${workspace}/jobs/([^/]+)$`, ({ state: { cloud }, parts: [name = ""] }) => {
    const job = cloud.findById(`jobs/${name}`);
    const isTooNew = job && cloud.is("describeMissingAtFirst") && cloud.now() - job.bornAt < 20_000;
    return job && !isTooNew ? json(jobOf(job, cloud)) : fail(404, "UserError", "Job was not found");
  }),
  route("POST", `${workspace}/jobs/([^/]+)/cancel$`, ({ state: { cloud }, parts: [name = ""] }) => {
    if (cloud.is("terminateFails")) return fail(503, "ServiceUnavailable", "The service is unavailable.");
    const job = cloud.findById(`jobs/${name}`);
    if (!job) return fail(404, "UserError", "Job was not found");
    const isDenied = cloud.take("terminateMissing");
    cloud.end(job, "us");
    return isDenied ? fail(404, "UserError", "Job was not found") : json({}, 202);
  }),
  route("GET", `${workspace}/jobs$`, ({ state: { cloud }, heard }) => {
    const tag = heard.url.searchParams.get("tag");
    return paged(
      heard,
      cloud
        .listed(lagMs)
        .filter((one) => isJob(one) && (tag === null || tag in one.tags))
        .map((one) => jobOf(one, cloud)),
    );
  }),
];

function putMachine({ state, heard, body, parts: [groupName = "", name = ""] }: Asked): Reply | typeof lost {
  const { cloud, quotas } = state;
  const group = find(state, groupName);
  if (!group) return noGroup(groupName);
  const properties = (body["properties"] ?? {}) as Record<string, unknown>;
  const unknown = Object.keys(properties).find((field) => !machineFields.has(field));
  if (unknown !== undefined)
    return fail(400, "InvalidRequestContent", `Could not find member '${unknown}' on object of type 'VMProperties'.`);
  if (!group.parts.has("Microsoft.Network/virtualNetworks"))
    return fail(400, "InvalidResourceReference", "Resource nika referenced by resource was not found.");
  if (!/"keyData":"ssh-(rsa|ed25519) [A-Za-z0-9+/=]+/.test(heard.body))
    return fail(400, "InvalidParameter", "The value of parameter linuxConfiguration.ssh.publicKeys.keyData is invalid.");
  if (cloud.take("createReplyLostBefore")) return lost;
  if (cloud.is("balance"))
    return fail(409, "ReadOnlyDisabledSubscription", "The subscription is disabled and therefore marked as read only.");
  const old = cloud.findById(name);
  if (old && isMachineThere(old, cloud)) return json(machineOf(old, cloud));
  if (cloud.is("quota") || (quotas.get("Standard NCASv3_T4 Family vCPUs") ?? 0) < 4)
    return fail(
      409,
      "OperationNotAllowed",
      "Operation could not be completed as it results in exceeding approved standardNCASv3_T4Family Cores quota.",
    );
  const type = (properties["hardwareProfile"] as { vmSize: string }).vmSize;
  const hourly = retail(group.location).find(
    (item) => item.armSkuName === type && !/Spot|Windows|Low/.test(`${item.meterName} ${item.productName}`),
  );
  const isSpot = properties["priority"] === "Spot";
  const isFull = cloud.is("noCapacity");
  const thing = cloud.add({
    id: name,
    name,
    place: group.location,
    type,
    tags: (body["tags"] ?? {}) as Record<string, string>,
    isSpot,
    hourlyMicros: isFull ? 0 : Math.round((hourly?.retailPrice ?? 1) * 1_000_000 * (isSpot ? 0.3 : 1)),
    disk: { id: `${name}_OsDisk`, hourlyMicros: 11_000 },
    asked: { body, isFailed: isFull },
  });
  if (cloud.take("createReplyLostAfter")) return lost;
  if (cloud.take("createErrorButExists")) return fail(500, "InternalServerError", "Encountered internal server error.");
  // What cannot be placed is made all the same, and stays behind.
  const outcome = isFull
    ? {
        status: "Failed",
        error: {
          code: "AllocationFailed",
          message: "Allocation failed. We do not have sufficient capacity for the requested VM size in this region.",
        },
      }
    : { status: "Succeeded" };
  return begun(state, heard, outcome, machineOf(thing, cloud));
}

function deleteGroup({ state, parts: [name = ""] }: Asked): Reply {
  const { cloud } = state;
  if (cloud.is("terminateFails")) return fail(503, "ServiceUnavailable", "The service is unavailable.");
  const group = find(state, name);
  if (!group) return noGroup(name);
  const isDenied = cloud.take("terminateMissing");
  const thing = cloud.findById(group.name);
  if (thing && thing.endingAt === undefined) {
    thing.leavesDisk = false;
    if (!cloud.end(thing, "us")) return json({}, 202);
    // A resource that will not go keeps its group; asking again helps.
    if (!thing.leavesDisk) group.deletingAt = cloud.now();
  } else {
    if (thing?.disk && thing.disk.goneAt === undefined) thing.disk.goneAt = cloud.now() + groupEndMs;
    group.deletingAt ??= cloud.now();
  }
  return isDenied ? noGroup(name) : json({}, 202);
}

function putJob({ state: { cloud }, body, parts: [name = ""] }: Asked): Reply | typeof lost {
  const properties = (body["properties"] ?? {}) as {
    jobType?: string;
    environmentId?: string;
    command?: string;
    limits?: { timeout?: string };
    tags?: Record<string, string>;
  };
  const seconds = /^PT(\d+)S$/.exec(properties.limits?.timeout ?? "")?.[1];
  if (properties.jobType !== "Command" || properties.environmentId === undefined || !properties.command || seconds === undefined)
    return fail(400, "UserError", "The job's properties are not valid");
  if (cloud.take("createReplyLostBefore")) return lost;
  if (cloud.is("balance"))
    return fail(409, "ReadOnlyDisabledSubscription", "The subscription is disabled and therefore marked as read only.");
  if (cloud.is("quota")) return fail(409, "QuotaExceeded", "Not enough quota available for Standard_NC4as_T4_v3.");
  if (cloud.is("noCapacity")) return fail(409, "InsufficientCapacity", "There is no capacity for this size.");
  const id = `jobs/${name}`;
  const old = cloud.findById(id);
  if (old) return json(jobOf(old, cloud));
  const job = cloud.add({
    id,
    name,
    place: "westeurope",
    type: "job",
    tags: properties.tags ?? {},
    isSpot: false,
    hourlyMicros: 600_000,
    ttlAt: cloud.now() + Number(seconds) * 1_000,
    asked: { isJob: true, body },
  });
  if (cloud.take("createReplyLostAfter")) return lost;
  if (cloud.take("createErrorButExists")) return fail(500, "InternalServerError", "Encountered internal server error.");
  return json(jobOf(job, cloud), 201);
}

const isJob = (thing: Thing): boolean => thing.asked["isJob"] === true;
/** Deallocated ones are still there. */
const isMachineThere = (thing: Thing, cloud: Cloud): boolean =>
  !isJob(thing) && (cloud.stateOf(thing) !== "gone" || thing.wentBy === "vendor");
const find = (state: State, name: string): Group | undefined => {
  const group = state.groups.get(name.toLowerCase());
  return group && isThere(group, state) ? group : undefined;
};
function isThere({ name, deletingAt }: Group, { cloud }: State): boolean {
  if (deletingAt === undefined) return true;
  const thing = cloud.findById(name);
  const goneAt = Math.max(deletingAt + groupEndMs, thing?.goneAt ?? 0, thing?.disk?.goneAt ?? 0);
  return goneAt > cloud.now();
}

const powers = {
  booting: "starting",
  running: "running",
  stopped: "stopped",
  ending: "deallocating",
  gone: "deallocated",
} as const;
const machineOf = (thing: Thing, cloud: Cloud): object => ({
  id: `${subscription}/resourceGroups/${thing.name.toUpperCase()}/providers/Microsoft.Compute/virtualMachines/${thing.name}`,
  name: thing.name,
  location: thing.place,
  tags: thing.tags,
  ...((thing.asked["body"] as { identity?: object } | undefined)?.identity
    ? { identity: { type: "SystemAssigned", principalId: "44444444-dddd-4ddd-8ddd-444444444444" } }
    : {}),
  properties: {
    provisioningState: thing.asked["isFailed"] === true ? "Failed" : thing.upAt > cloud.now() ? "Creating" : "Succeeded",
    instanceView: { statuses: [{ code: `PowerState/${powers[cloud.stateOf(thing)]}` }] },
  },
});
const groupOf = ({ name, location, tags, deletingAt }: Group): object => ({
  id: `${subscription}/resourceGroups/${name}`,
  name,
  location,
  tags,
  properties: { provisioningState: deletingAt === undefined ? "Succeeded" : "Deleting" },
});
function resourcesOf(group: Group, { cloud }: State): object[] {
  const thing = cloud.findById(group.name);
  const kinds = [...group.parts];
  if (thing && cloud.stateOf(thing) !== "gone")
    kinds.push("Microsoft.Compute/virtualMachines", "Microsoft.Network/networkInterfaces", "Microsoft.Network/publicIPAddresses");
  if (thing?.disk && (thing.disk.goneAt === undefined || thing.disk.goneAt > cloud.now())) kinds.push("Microsoft.Compute/disks");
  return kinds.map((type) => ({ name: type.endsWith("disks") ? thing?.disk?.id : "nika", type }));
}
const jobStates = {
  booting: "Starting",
  running: "Running",
  stopped: "Running",
  ending: "CancelRequested",
  gone: "Canceled",
} as const;
const jobOf = (job: Thing, cloud: Cloud): object => ({
  name: job.name,
  properties: {
    status: cloud.stateOf(job) === "gone" && job.wentBy === "vendor" ? "Failed" : jobStates[cloud.stateOf(job)],
    tags: job.tags,
  },
  systemData: { createdAt: new Date(job.bornAt).toISOString() },
});

/** The answer to what ends later: where to ask, and how long to wait before. */
function begun(state: State, heard: Heard, outcome: object, body: object): Reply {
  const id = state.cloud.nextId("op", 8);
  state.operations.set(id, outcome);
  const version = heard.url.searchParams.get("api-version") ?? "";
  return {
    ...json(body, 201),
    headers: {
      "content-type": "application/json",
      "azure-asyncoperation": `${state.url()}/operations/${id}?api-version=${version}`,
      "retry-after": "5",
    },
  };
}

/** Two to a page. */
function paged(heard: Heard, all: readonly object[]): Reply {
  const from = Number(heard.url.searchParams.get("$skiptoken") ?? 0);
  const next = new URL(heard.url.href);
  next.searchParams.set("$skiptoken", String(from + 2));
  const more = from + 2 < all.length ? { nextLink: `http://${heard.headers.host}${next.pathname}${next.search}` } : {};
  return json({ value: all.slice(from, from + 2), ...more });
}

const noGroup = (name: string): Reply => fail(404, "ResourceGroupNotFound", `Resource group '${name}' could not be found.`);
const json = (body: object, status = 200): Reply => ({
  status,
  headers: { "content-type": "application/json; charset=utf-8" },
  body: JSON.stringify(body),
});
const fail = (status: number, code: string, message: string): Reply => json({ error: { code, message } }, status);
