/**
 * AWS as its own client meets it: EC2's Query protocol and XML, the JSON services of awsServices.ts, signatures looked at. Prices and
 * quotas are the emulator's own. Lies as EC2 does: what was just made is not found for a while, lists lag, capacity is missing with
 * status 500, tokens keep creates the same; a token used with other words is refused.
 */
import { awsService, type ServiceState } from "./awsServices.ts";
import { lost, openCloud, serve, type Cloud, type Heard, type Reply, type Thing } from "./cloud.ts";
import { kinds, type Kind } from "./awsKinds.ts";
import type { Fault, Lying } from "./fault.ts";

export type AwsEmulator = {
  readonly url: string;
  readonly key: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly lying: Lying;
  readonly cloud: Cloud;
  /** Every question, newest last. */
  readonly heard: readonly Heard[];
  /** The system on it shuts down; what that means is what was asked for when it was made. */
  shutDownInside(id: string): void;
  /** Quotas in processors by name. */
  readonly quotas: Map<string, number>;
  close(): Promise<void>;
};

const can: readonly Fault[] = [
  "createReplyLostAfter",
  "createReplyLostBefore",
  "createErrorButExists",
  "describeMissingAtFirst",
  "listOmitsOnce",
  "listPageLost",
  "terminateIgnoredTwice",
  "terminateFails",
  "terminateMissing",
  "disappears",
  "preempted",
  "noCapacity",
  "quota",
  "rateLimited",
  "rateLimitedSilently",
  "keyRevoked",
  "satelliteLeft",
  "down",
  "priceDoubled",
  "pricesDown",
  "billLate",
  "billMissesHours",
  "billOtherCurrency",
];

const regions = ["us-east-1", "eu-west-3", "eu-central-1"];
const lagMs = 5_000;
const pageSize = 2;
const key = { accessKeyId: "AKIAEXAMEMULATOR0001", secretAccessKey: "exam/secret+Key0exam/secret+Key0exam0001" };

export async function openAwsEmulator({ now }: { readonly now: () => number }): Promise<AwsEmulator> {
  const cloud = openCloud({ now, can });
  const quotas = new Map([
    ["Running On-Demand G and VT instances", 64],
    ["All G and VT Spot Instance Requests", 64],
    ["Running On-Demand P instances", 0],
  ]);
  const groups = new Map<string, string>();
  const state: ServiceState = { cloud, quotas };

  const answer = (heard: Heard): Reply | typeof lost => {
    const scope = /Credential=([^/]+)\/\d{8}\/([a-z0-9-]+)\/([a-z0-9]+)\/aws4_request/.exec(heard.headers.authorization ?? "");
    const [, id, region = "us-east-1", service = "ec2"] = scope ?? [];
    if (service !== "ec2") return awsService(state, { service, region, heard, isKnown: id === key.accessKeyId });
    if (id !== key.accessKeyId || cloud.is("keyRevoked"))
      return xmlError(401, "AuthFailure", "AWS was not able to validate the provided access credentials");
    if (cloud.is("down")) return xmlError(500, "InternalError", "An internal error has occurred");
    if (cloud.is("rateLimited") || cloud.is("rateLimitedSilently"))
      return xmlError(503, "RequestLimitExceeded", "Request limit exceeded.");
    const asked = new URLSearchParams(heard.body);
    const action = actions[asked.get("Action") ?? ""];
    if (!action) return xmlError(400, "InvalidAction", `The action ${asked.get("Action")} is not valid for this web service.`);
    return action({ asked, region, cloud, groups, quotas });
  };
  const server = await serve(answer);
  return {
    url: server.url,
    heard: server.heard,
    key,
    cloud,
    quotas,
    lying: cloud.lying,
    shutDownInside(id) {
      const thing = cloud.findById(id);
      if (thing?.asked["InstanceInitiatedShutdownBehavior"] === "terminate") cloud.end(thing, "itself");
      else if (thing) cloud.stop(thing);
    },
    close: server.close,
  };
}

type Asked = {
  readonly asked: URLSearchParams;
  readonly region: string;
  readonly cloud: Cloud;
  readonly groups: Map<string, string>;
  readonly quotas: Map<string, number>;
};

const actions: Readonly<Record<string, (one: Asked) => Reply | typeof lost>> = {
  RunInstances: runInstances,
  DescribeInstances: describeInstances,
  TerminateInstances: terminateInstances,
  DescribeVolumes: ({ asked, region, cloud }) => {
    const values = filters(asked);
    const disks = cloud
      .listed(0)
      .filter((one) => one.disk && inRegion(one, region) && isListed(one, values) && !hasDiskGone(one, cloud));
    return paged(
      asked,
      "DescribeVolumes",
      "volumeSet",
      disks.map((one) => volumeXml(one, cloud)),
    );
  },
  DeleteVolume: ({ asked, cloud }) => {
    const thing = cloud.things.find((one) => one.disk?.id === asked.get("VolumeId") && !hasDiskGone(one, cloud));
    if (!thing?.disk) return xmlError(400, "InvalidVolume.NotFound", `The volume '${asked.get("VolumeId")}' does not exist.`);
    if (cloud.is("terminateFails")) return xmlError(500, "InternalError", "An internal error has occurred");
    if (cloud.stateOf(thing) !== "gone")
      return xmlError(400, "VolumeInUse", `Volume ${thing.disk.id} is currently attached to ${thing.id}`);
    thing.disk.goneAt = cloud.now();
    return xml("DeleteVolume", "<return>true</return>");
  },
  DescribeImages: () =>
    xml(
      "DescribeImages",
      list("imagesSet", [
        imageXml("ami-0000000000000aaaa", "2026-09-01T00:00:00.000Z"),
        imageXml("ami-0000000000000bbbb", "2026-11-01T00:00:00.000Z"),
      ]),
    ),
  DescribeRegions: () =>
    xml(
      "DescribeRegions",
      list(
        "regionInfo",
        regions.map((name) =>
          tags({ regionName: name, regionEndpoint: `ec2.${name}.amazonaws.com`, optInStatus: "opt-in-not-required" }),
        ),
      ),
    ),
  DescribeSecurityGroups: ({ asked, region, groups }) => {
    const [name = ""] = filters(asked).get("group-name") ?? [];
    const id = groups.get(`${region}/${name}`);
    return xml(
      "DescribeSecurityGroups",
      list("securityGroupInfo", id === undefined ? [] : [tags({ groupId: id, groupName: name })]),
    );
  },
  CreateSecurityGroup: ({ asked, region, groups, cloud }) => {
    const name = `${region}/${asked.get("GroupName")}`;
    if (groups.has(name)) return xmlError(400, "InvalidGroup.Duplicate", "The security group already exists for VPC");
    const id = cloud.nextId("sg-");
    groups.set(name, id);
    return xml("CreateSecurityGroup", `<return>true</return><groupId>${id}</groupId>`);
  },
  AuthorizeSecurityGroupIngress: () => xml("AuthorizeSecurityGroupIngress", "<return>true</return>"),
  DescribeInstanceTypes: ({ asked }) => {
    const patterns = filters(asked).get("instance-type") ?? ["*"];
    const found = Object.entries(kinds).filter(([name]) =>
      patterns.some((pattern) => new RegExp(`^${pattern.replaceAll(".", "\\.").replaceAll("*", ".*")}$`).test(name)),
    );
    return paged(
      asked,
      "DescribeInstanceTypes",
      "instanceTypeSet",
      found.map(([name, kind]) => typeXml(name, kind)),
    );
  },
  DescribeInstanceTypeOfferings: ({ asked, region }) => {
    const names = filters(asked).get("instance-type") ?? Object.keys(kinds);
    const offered = names.flatMap((name) => ["a", "b"].map((zone) => ({ name, zone: `${region}${zone}` })));
    return paged(
      asked,
      "DescribeInstanceTypeOfferings",
      "instanceTypeOfferingSet",
      offered.map(({ name, zone }) => tags({ instanceType: name, locationType: "availability-zone", location: zone })),
    );
  },
  DescribeSpotPriceHistory: ({ asked, region, cloud }) => {
    const names = numbered(asked, "InstanceType");
    const rows = names.flatMap((name) =>
      ["a", "b"].map((zone) =>
        tags({
          instanceType: name,
          productDescription: "Linux/UNIX",
          spotPrice: ((kinds[name]?.hourly ?? 1) * (zone === "a" ? 0.4 : 0.3)).toFixed(6),
          timestamp: new Date(cloud.now() - 3_600_000).toISOString(),
          availabilityZone: `${region}${zone}`,
        }),
      ),
    );
    return paged(asked, "DescribeSpotPriceHistory", "spotPriceHistorySet", rows);
  },
  GetConsoleOutput: ({ asked, cloud }) => {
    const thing = cloud.findById(asked.get("InstanceId") ?? "");
    if (!thing) return xmlError(400, "InvalidInstanceID.NotFound", "The instance ID does not exist");
    const text = Buffer.from("cloud-init: nika agent starts\n").toString("base64");
    return xml("GetConsoleOutput", tags({ instanceId: thing.id, timestamp: new Date(cloud.now()).toISOString(), output: text }));
  },
};

function runInstances({ asked, region, cloud, quotas }: Asked): Reply | typeof lost {
  const type = asked.get("InstanceType") ?? "";
  const kind = kinds[type];
  const isSpot = asked.get("InstanceMarketOptions.MarketType") === "spot";
  if (!kind || asked.get("ImageId") === null || asked.get("MinCount") !== "1" || asked.get("MaxCount") !== "1")
    return xmlError(400, "InvalidParameterValue", "A parameter is missing or wrong");
  if (Buffer.from(asked.get("UserData") ?? "", "base64").byteLength > 16_384)
    return xmlError(400, "InvalidParameterValue", "User data is limited to 16384 bytes");
  if (asked.get("DryRun") === "true")
    return xmlError(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.");
  if (cloud.take("createReplyLostBefore")) return lost;
  const token = asked.get("ClientToken");
  const words = [...asked].filter(([name]) => name !== "Placement.AvailabilityZone").join("&");
  const same = token === null ? undefined : cloud.things.find((one) => one.asked["token"] === token);
  if (same) {
    if (same.asked["words"] !== words)
      return xmlError(400, "IdempotentParameterMismatch", "The client token was used with different parameters");
    return xml("RunInstances", list("instancesSet", [instanceXml(same, cloud)]));
  }
  if (cloud.is("noCapacity"))
    return xmlError(
      500,
      "InsufficientInstanceCapacity",
      "We currently do not have sufficient capacity in the Availability Zone you requested.",
    );
  const quota = quotas.get(isSpot ? "All G and VT Spot Instance Requests" : "Running On-Demand G and VT instances") ?? 0;
  const used = cloud.things
    .filter((one) => one.isSpot === isSpot && cloud.stateOf(one) !== "gone")
    .reduce((sum, one) => sum + (kinds[one.type]?.cpus ?? 0), 0);
  if (cloud.is("quota") || (kind.gpu && used + kind.cpus > quota))
    return isSpot
      ? xmlError(400, "MaxSpotInstanceCountExceeded", "Max spot instance count exceeded")
      : xmlError(
          400,
          "VcpuLimitExceeded",
          `You have requested more vCPU capacity than your current vCPU limit of ${quota} allows`,
        );
  const ours = Object.fromEntries(
    [1, 2, 3, 4, 5, 6].flatMap((n) => {
      const name = asked.get(`TagSpecification.1.Tag.${n}.Key`);
      return name === null ? [] : [[name, asked.get(`TagSpecification.1.Tag.${n}.Value`) ?? ""]];
    }),
  );
  const thing = cloud.add({
    id: cloud.nextId("i-"),
    name: ours["Name"] ?? "",
    place: asked.get("Placement.AvailabilityZone") ?? `${region}a`,
    type,
    tags: ours,
    isSpot,
    hourlyMicros: Math.round(kind.hourly * 1_000_000 * (isSpot ? 0.4 : 1)),
    disk: { id: cloud.nextId("vol-"), hourlyMicros: 11_000 },
    leavesDisk: asked.get("BlockDeviceMapping.1.Ebs.DeleteOnTermination") !== "true",
    asked: { token, words, InstanceInitiatedShutdownBehavior: asked.get("InstanceInitiatedShutdownBehavior") ?? "stop" },
  });
  if (cloud.take("createReplyLostAfter")) return lost;
  if (cloud.take("createErrorButExists")) return xmlError(500, "InternalError", "An internal error has occurred");
  return xml("RunInstances", `<reservationId>r-1</reservationId>${list("instancesSet", [instanceXml(thing, cloud)])}`);
}

function describeInstances({ asked, region, cloud }: Asked): Reply {
  const ids = numbered(asked, "InstanceId");
  if (ids.length > 0) {
    const [thing] = ids.map((id) => cloud.findById(id));
    const isTooNew = thing && cloud.is("describeMissingAtFirst") && cloud.now() - thing.bornAt < 20_000;
    if (!thing || isTooNew || isForgotten(thing, cloud))
      return xmlError(400, "InvalidInstanceID.NotFound", `The instance ID '${ids[0]}' does not exist`);
    return paged(asked, "DescribeInstances", "reservationSet", [list("instancesSet", [instanceXml(thing, cloud)])]);
  }
  const values = filters(asked);
  const found = cloud
    .listed(lagMs)
    .filter((one) => one.id.startsWith("i-") && inRegion(one, region) && isListed(one, values) && !isForgotten(one, cloud));
  const isLost = asked.get("NextToken") !== null && cloud.take("listPageLost");
  if (isLost) return xmlError(400, "InvalidParameterValue", "Invalid value for nextToken");
  return paged(
    asked,
    "DescribeInstances",
    "reservationSet",
    found.map((one) => list("instancesSet", [instanceXml(one, cloud)])),
  );
}

function terminateInstances({ asked, cloud }: Asked): Reply {
  const [id = ""] = numbered(asked, "InstanceId");
  const thing = cloud.findById(id);
  if (asked.get("DryRun") === "true")
    return thing
      ? xmlError(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
      : xmlError(400, "InvalidInstanceID.NotFound", `The instance ID '${id}' does not exist`);
  if (cloud.is("terminateFails")) return xmlError(500, "InternalError", "An internal error has occurred");
  if (thing && cloud.take("terminateMissing")) {
    cloud.end(thing, "us");
    return xmlError(400, "InvalidInstanceID.NotFound", `The instance ID '${id}' does not exist`);
  }
  if (!thing || isForgotten(thing, cloud))
    return xmlError(400, "InvalidInstanceID.NotFound", `The instance ID '${id}' does not exist`);
  const before = stateXml(thing, cloud);
  cloud.end(thing, "us");
  const current = cloud.stateOf(thing) === "gone" ? stateXml(thing, cloud) : "<code>32</code><name>shutting-down</name>";
  return xml(
    "TerminateInstances",
    list("instancesSet", [
      `<instanceId>${id}</instanceId><currentState>${current}</currentState><previousState>${before}</previousState>`,
    ]),
  );
}

const forgottenAfterMs = 3_600_000;
const isForgotten = (thing: Thing, cloud: Cloud): boolean =>
  thing.goneAt !== undefined && thing.goneAt + forgottenAfterMs <= cloud.now();
const hasDiskGone = ({ disk }: Thing, cloud: Cloud): boolean => disk?.goneAt !== undefined && disk.goneAt <= cloud.now();
const inRegion = (thing: Thing, region: string): boolean => thing.place.startsWith(region);
const isListed = ({ tags: own }: Thing, asked: ReadonlyMap<string, readonly string[]>): boolean =>
  [...asked].every(([name, values]) =>
    name === "tag-key"
      ? values.some((value) => value in own)
      : !name.startsWith("tag:") || values.includes(own[name.slice(4)] ?? ""),
  );

const states = {
  booting: [0, "pending"],
  running: [16, "running"],
  stopped: [80, "stopped"],
  ending: [32, "shutting-down"],
  gone: [48, "terminated"],
} as const;
const stateXml = (thing: Thing, cloud: Cloud): string => {
  const [code, name] = states[cloud.stateOf(thing)];
  return `<code>${code}</code><name>${name}</name>`;
};
const reasons = {
  preemption: "Server.SpotInstanceTermination",
  itself: "Client.InstanceInitiatedShutdown",
  vendor: "Server.InternalError",
  elsewhere: "Client.UserInitiatedShutdown",
  us: "Client.UserInitiatedShutdown",
} as const;

const tagSet = (own: Readonly<Record<string, string>>): string =>
  list(
    "tagSet",
    Object.entries(own).map(([name, value]) => tags({ key: name, value })),
  );

function instanceXml(thing: Thing, cloud: Cloud): string {
  const reason =
    thing.wentBy === undefined ? "" : `<stateReason><code>${reasons[thing.wentBy]}</code><message>x</message></stateReason>`;
  const address = cloud.stateOf(thing) === "running" ? "<ipAddress>203.0.113.7</ipAddress>" : "";
  return `${tags({ instanceId: thing.id, instanceType: thing.type, launchTime: new Date(thing.bornAt).toISOString() })}<instanceState>${stateXml(thing, cloud)}</instanceState>${address}${reason}<placement><availabilityZone>${thing.place}</availabilityZone></placement>${tagSet(thing.tags)}`;
}

const volumeXml = (thing: Thing, cloud: Cloud): string =>
  `${tags({ volumeId: thing.disk?.id ?? "", status: cloud.stateOf(thing) === "gone" ? "available" : "in-use" })}${list(
    "attachmentSet",
    cloud.stateOf(thing) === "gone" ? [] : [tags({ volumeId: thing.disk?.id ?? "", instanceId: thing.id })],
  )}${tagSet(thing.tags)}`;

const imageXml = (id: string, date: string): string =>
  `${tags({ imageId: id, imageState: "available", creationDate: date, rootDeviceName: "/dev/sda1" })}${list(
    "blockDeviceMapping",
    ["<deviceName>/dev/sda1</deviceName><ebs><volumeSize>75</volumeSize></ebs>"],
  )}`;

const typeXml = (name: string, { cpus, mebibytes, gpu }: Kind): string =>
  `<instanceType>${name}</instanceType>${list("supportedUsageClasses", ["on-demand", "spot"])}<vCpuInfo><defaultVCpus>${cpus}</defaultVCpus></vCpuInfo><memoryInfo><sizeInMiB>${mebibytes}</sizeInMiB></memoryInfo>${
    gpu
      ? `<gpuInfo>${list("gpus", [`${tags({ name: gpu[0], manufacturer: "NVIDIA", count: String(gpu[1]) })}<memoryInfo><sizeInMiB>${gpu[2]}</sizeInMiB></memoryInfo>`])}</gpuInfo>`
      : ""
  }`;

/** A page at a time; the token is where the next one begins. */
function paged(asked: URLSearchParams, action: string, set: string, all: readonly string[]): Reply {
  const from = Number(asked.get("NextToken") ?? 0);
  const next = from + pageSize < all.length ? `<nextToken>${from + pageSize}</nextToken>` : "";
  return xml(action, `${list(set, all.slice(from, from + pageSize))}${next}`);
}

function filters(asked: URLSearchParams): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (let n = 1; asked.has(`Filter.${n}.Name`); n++)
    found.set(asked.get(`Filter.${n}.Name`) ?? "", numbered(asked, `Filter.${n}.Value`));
  return found;
}

function numbered(asked: URLSearchParams, name: string): string[] {
  const found: string[] = [];
  for (let n = 1; asked.has(`${name}.${n}`); n++) found.push(asked.get(`${name}.${n}`) ?? "");
  return found;
}

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const tags = (of: Readonly<Record<string, string>>): string =>
  Object.entries(of)
    .map(([name, value]) => `<${name}>${escaped(value)}</${name}>`)
    .join("");
const list = (name: string, items: readonly string[]): string =>
  `<${name}>${items.map((item) => `<item>${item}</item>`).join("")}</${name}>`;
const xml = (action: string, body: string): Reply => ({
  status: 200,
  headers: { "content-type": "text/xml;charset=UTF-8" },
  body: `<?xml version="1.0" encoding="UTF-8"?><${action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>00000000-0000-0000-0000-000000000000</requestId>${body}</${action}Response>`,
});
const xmlError = (status: number, code: string, message: string): Reply => ({
  status,
  headers: { "content-type": "text/xml;charset=UTF-8" },
  body: `<?xml version="1.0" encoding="UTF-8"?><Response><Errors><Error><Code>${code}</Code><Message>${escaped(message)}</Message></Error></Errors><RequestID>00000000-0000-0000-0000-000000000000</RequestID></Response>`,
});
