/**
 * Amazon Web Services: EC2 on demand and spot, and SageMaker's training jobs where a role for them is given. What shuts down inside is
 * ended and no longer billed; a token makes a create the same however often it is asked for. EC2 has no timer of its own.
 */
import type { Instance } from "@aws-sdk/client-ec2";
import type { Capability, CreateResult, MachineIntent, Observed, Ref, Satellite } from "../../../convex/model/gpu.ts";
import { ProviderError, type Provider } from "../../../functions/ports/gpu.ts";
import { failureOf, openHttp, type JournalEntry } from "../http.ts";
import { awsBill, awsBillUnread, readBill } from "./bill.ts";
import { checkAws } from "./check.ts";
import { identityOf, newestImage, observedInstance, openEc2, pages, runRequest, sshGroup, tagKeys } from "./ec2.ts";
import { fromSdk } from "./failures.ts";
import { openAwsJson, type AwsKey } from "./json.ts";
import { awsOffers } from "./offers.ts";
import { openPrices } from "./prices.ts";
import { openTraining, type TrainingOptions } from "./training.ts";

export type AwsOptions = AwsKey & {
  /** Where machines may be made; everything is listed there. */
  readonly regions: readonly string[];
  readonly training?: TrainingOptions;
  /** Asks Cost Explorer once a day what was billed, which costs a cent. */
  readonly hasCostExplorer?: boolean;
  readonly now?: () => number;
  /** Another origin for all services, such as a firm's proxy. */
  readonly url?: string;
  readonly journal?: (entry: JournalEntry) => void;
};

/** A machine's script is 16 KB at most; beside it goes who may sign in. */
const bootBytesMax = 15_000;

const capability: Capability = {
  form: ["machine"],
  createIs: "onceByToken",
  hasTags: true,
  hasSpot: true,
  shutdownEndsBill: "yes",
  hasTtl: false,
  deletesItself: "shutdown",
  listLagMs: 60_000,
  noticeMs: 120_000,
  bootBytesMax,
};

/** Loads nothing yet. Fails with `ProviderError` of kind `invalid` when no region is named. */
export function openAws(options: AwsOptions): Provider {
  const { regions, now = Date.now, url, training: trainingOptions } = options;
  const key: AwsKey = {
    accessKeyId: options.accessKeyId,
    secretAccessKey: options.secretAccessKey,
    ...(options.sessionToken === undefined ? {} : { sessionToken: options.sessionToken }),
  };
  const hide = [key.secretAccessKey, key.accessKeyId, ...(key.sessionToken === undefined ? [] : [key.sessionToken])];
  if (regions.length === 0)
    throw new ProviderError(failureOf("invalid", "account", "AWS needs the name of a region, such as eu-west-3"));
  const ec2 = openEc2({ key, ...(url === undefined ? {} : { url }) });
  const http = openHttp({
    vendor: "AWS",
    url: "",
    now,
    secrets: () => hide,
    ...(options.journal ? { journal: options.journal } : {}),
  });
  const json = openAwsJson({ http, key, ...(url === undefined ? {} : { url }) });
  const prices = openPrices(json, now);
  const training = openTraining(json, now, trainingOptions, hide);
  const hasTraining = trainingOptions !== undefined;
  const isJob = (ref: Ref): boolean => ref.id.startsWith("nika-");

  async function createMachine(intent: MachineIntent, signal: AbortSignal): Promise<CreateResult> {
    const { region, gpu } = intent.offer;
    let request;
    try {
      const [image, group] = await Promise.all([
        newestImage(ec2, region, gpu !== undefined, signal),
        sshGroup(ec2, region, signal),
      ]);
      request = runRequest(intent, image, group);
    } catch (error) {
      if (error instanceof ProviderError) return { type: "failed", failure: error.failure };
      throw error;
    }
    try {
      const { Instances: [made] = [] } = await ec2.raw(
        region,
        (client, sdk, sending) => client.send(new sdk.RunInstancesCommand(request), sending),
        signal,
      );
      if (made?.InstanceId === undefined)
        return { type: "unknown", failure: failureOf("transient", "region", "AWS said yes without naming a machine") };
      return { type: "created", observed: observedInstance(made, region, []) };
    } catch (error) {
      const { failure, isAnswer, mayHaveArrived } = fromSdk(error, hide);
      // The same token with other words means that something was made with it.
      const mayExist = isAnswer ? failure.kind === "transient" || failure.kind === "conflict" : mayHaveArrived;
      return { type: mayExist ? "unknown" : "failed", failure };
    }
  }

  async function instancesOf(region: string, ids: readonly string[] | undefined, signal: AbortSignal): Promise<Instance[]> {
    const found: Instance[] = [];
    const asked = ids
      ? { InstanceIds: [...ids] }
      : { Filters: [{ Name: "tag-key", Values: [tagKeys.install] }], MaxResults: 100 };
    for await (const page of pages((next) =>
      ec2.ask(
        region,
        (client, sdk, sending) => client.send(new sdk.DescribeInstancesCommand({ ...asked, ...next }), sending),
        signal,
      ),
    ))
      found.push(...(page.Reservations ?? []).flatMap(({ Instances = [] }) => Instances));
    return found;
  }

  /** Disks that carry our tags, by machine; those of `machineId` alone where it is given. */
  async function disksOf(region: string, machineId: string | undefined, signal: AbortSignal): Promise<readonly Disk[]> {
    const found: Disk[] = [];
    const filter =
      machineId === undefined
        ? { Name: "tag-key", Values: [tagKeys.install] }
        : { Name: `tag:${tagKeys.machine}`, Values: [machineId] };
    for await (const page of pages((next) =>
      ec2.ask(
        region,
        (client, sdk, sending) =>
          client.send(new sdk.DescribeVolumesCommand({ Filters: [filter], MaxResults: 100, ...next }), sending),
        signal,
      ),
    ))
      for (const volume of page.Volumes ?? [])
        if (volume.VolumeId !== undefined && volume.State !== "deleted" && volume.State !== "deleting")
          found.push({
            satellite: { kind: "disk", id: volume.VolumeId, region },
            identity: identityOf(volume.Tags),
            on: volume.Attachments?.[0]?.InstanceId,
          });
    return found;
  }

  async function describe(ref: Ref, signal: AbortSignal): Promise<Observed | undefined> {
    if (isJob(ref)) return await training.describe(ref, signal);
    if (ref.id.startsWith("vol-")) {
      const disks = await disksOf(ref.region, undefined, signal);
      const disk = disks.find(({ satellite }) => satellite.id === ref.id);
      return disk ? observedDisk(disk, ref.region) : undefined;
    }
    try {
      const [instance] = await instancesOf(ref.region, [ref.id], signal);
      if (!instance) return undefined;
      const { machineId } = identityOf(instance.Tags);
      const disks = machineId === undefined ? [] : await disksOf(ref.region, machineId, signal);
      return observedInstance(
        instance,
        ref.region,
        disks.filter(belongsTo(ref.id)).map(({ satellite }) => satellite),
      );
    } catch (error) {
      if (error instanceof ProviderError && error.failure.kind === "missing") return undefined;
      throw error;
    }
  }

  async function deleteDisk(region: string, id: string, signal: AbortSignal): Promise<void> {
    await ec2.ask(region, (client, sdk, sending) => client.send(new sdk.DeleteVolumeCommand({ VolumeId: id }), sending), signal);
  }

  async function* listIn(region: string, signal: AbortSignal): AsyncGenerator<Observed> {
    const [instances, disks] = await Promise.all([instancesOf(region, undefined, signal), disksOf(region, undefined, signal)]);
    const told = new Set<string>();
    for (const instance of instances) {
      const own = disks.filter(
        (disk) =>
          disk.on === instance.InstanceId ||
          (disk.on === undefined && disk.identity.name !== "" && disk.identity.name === identityOf(instance.Tags).name),
      );
      for (const { satellite } of own) told.add(satellite.id);
      yield observedInstance(
        instance,
        region,
        own.map(({ satellite }) => satellite),
      );
    }
    for (const disk of disks) {
      if (told.has(disk.satellite.id)) continue;
      // A disk in use belongs to a machine that the list left out.
      const user = disk.on === undefined ? undefined : await describe({ provider: "aws", region, id: disk.on }, signal);
      yield user ?? observedDisk(disk, region);
    }
    if (hasTraining) yield* training.list(region, signal);
  }

  return {
    id: "aws",
    capability: hasTraining ? { ...capability, form: ["machine", "managed"] } : capability,
    offers: async (need, signal) => await awsOffers({ ec2, prices, regions, hasTraining, now }, need, signal),
    async create(intent, signal) {
      if (Buffer.byteLength(intent.boot) > bootBytesMax)
        return {
          type: "failed",
          failure: failureOf("invalid", "type", `AWS takes boot scripts of ${bootBytesMax} bytes at most`),
        };
      return await (intent.offer.form === "managed" ? training.create(intent, signal) : createMachine(intent, signal));
    },
    describe,
    async *list(signal) {
      for (const region of regions) yield* listIn(region, signal);
    },
    async terminate(ref, signal) {
      if (isJob(ref)) return await training.terminate(ref, signal);
      try {
        if (ref.id.startsWith("vol-")) {
          await deleteDisk(ref.region, ref.id, signal);
          return "accepted";
        }
        const { TerminatingInstances: [ending] = [] } = await ec2.ask(
          ref.region,
          (client, sdk, sending) => client.send(new sdk.TerminateInstancesCommand({ InstanceIds: [ref.id] }), sending),
          signal,
        );
        if (ending?.CurrentState?.Name !== "terminated") return "accepted";
        // What was told to go with it and stayed is ended by its own name.
        const left = (await describe(ref, signal))?.satellites ?? [];
        for (const { id } of left) await deleteDisk(ref.region, id, signal);
        return left.length === 0 ? "gone" : "accepted";
      } catch (error) {
        if (error instanceof ProviderError && error.failure.kind === "missing") return "gone";
        throw error;
      }
    },
    check: async (signal) => await checkAws({ ec2, json, prices, regions, hasTraining }, signal),
    async billed(ref, signal) {
      // EC2 tells nothing of one machine; SageMaker tells the seconds of each job.
      if (!isJob(ref)) return undefined;
      const billed = await training.billedSeconds(ref, signal);
      const price = billed && (await prices.training(ref.region, [billed.type], signal)).get(billed.type);
      return price && { micros: Math.round((price.micros * billed.seconds) / 3600), currency: "USD" };
    },
    billTerms: options.hasCostExplorer === true ? awsBill : awsBillUnread,
    ...(options.hasCostExplorer === true && {
      bill: async (periods: readonly string[], signal: AbortSignal) => await readBill(json, periods, signal),
    }),
    async output(ref, cursor, signal) {
      if (isJob(ref)) return await training.output(ref, cursor, signal);
      const { Output: encoded = "" } = await ec2.ask(
        ref.region,
        (client, sdk, sending) => client.send(new sdk.GetConsoleOutputCommand({ InstanceId: ref.id, Latest: true }), sending),
        signal,
      );
      const text = Buffer.from(encoded, "base64").toString("utf8");
      return { text: text.slice(Number(cursor ?? 0)), cursor: String(text.length) };
    },
  };
}

type Disk = { readonly satellite: Satellite; readonly identity: ReturnType<typeof identityOf>; readonly on: string | undefined };

/** Disks that hang on another machine are that machine's, also where tags were copied. */
const belongsTo =
  (instanceId: string) =>
  ({ on }: Disk): boolean =>
    on === undefined || on === instanceId;

/** Its tags tell what the machine cost, not what it costs by itself. */
const observedDisk = ({ satellite, identity: { hourly: _hourly, ...identity } }: Disk, region: string): Observed => ({
  ref: { provider: "aws", region, id: satellite.id },
  ...identity,
  state: "stopped",
  isBilled: true,
  satellites: [satellite],
});
