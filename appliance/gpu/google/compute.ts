/** Compute Engine's machines. Each has Google's own timer, which deletes it at the deadline, whatever becomes of us. */
import type { CreateResult, MachineIntent, Observed, Ref } from "../../../convex/model/gpu.ts";
import { parseMachineName, parsePriceTag, priceTag } from "../../../convex/model/gpu.ts";
import { ProviderError } from "../../../functions/ports/gpu.ts";
import { createRefusal, failureOf } from "../http.ts";
import { isRecord, recordsIn, textOf, timeOf } from "../record.ts";
import { googleFailure, operationFailure } from "./failures.ts";
import { acrossZones, type Rest } from "./rest.ts";

export const labels = {
  install: "nika-install",
  machine: "nika-machine",
  deadline: "nika-deadline",
  hourly: "nika-hourly",
} as const;
export const hasOurLabel = encodeURIComponent(`labels.${labels.install}:*`);

export type ComputeOptions = {
  readonly rest: Rest;
  /** Up to and with the project. */
  readonly base: string;
  readonly now: () => number;
  /** What runs on the machine may delete it as this account; absent: it can only wait for the timer. */
  readonly machineAccount: string | undefined;
};

export type Compute = {
  create(intent: MachineIntent, signal: AbortSignal): Promise<CreateResult>;
  describe(ref: Ref, signal: AbortSignal): Promise<Observed | undefined>;
  list(signal: AbortSignal): AsyncIterable<Observed>;
  terminate(ref: Ref, signal: AbortSignal): Promise<"accepted" | "gone">;
  output(ref: Ref, cursor: string | undefined, signal: AbortSignal): Promise<{ readonly text: string; readonly cursor?: string }>;
};

/** Errors of capacity come within half a minute; whoever waits longer is booting. */
const operationWaitMs = 45_000;
/** Google's timer takes from 30 s to 120 days. */
const ttlSeconds = [30, 120 * 86_400] as const;
const plainImage = "projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-amd64";
const gpuImages = "projects/deeplearning-platform-release/global/images";
const gpuImageFilter = encodeURIComponent('family eq "common-cu[0-9]+-ubuntu-[0-9]+.*"');

export function openCompute({ rest, base, now, machineAccount }: ComputeOptions): Compute {
  const root = base.slice(0, base.lastIndexOf("/projects/"));
  const zoneOf = (ref: Ref): string => `${base}/zones/${encodeURIComponent(ref.region)}`;

  /** The newest of Google's systems with NVIDIA's driver and cloud-init. */
  async function imageFor(hasGpu: boolean, signal: AbortSignal): Promise<string> {
    if (!hasGpu) return plainImage;
    let newest: { readonly name: string; readonly at: number } | undefined;
    for await (const page of rest.pages(`${root}/${gpuImages}?maxResults=500&filter=${gpuImageFilter}`, signal))
      for (const image of recordsIn(page, "items") ?? []) {
        const at = timeOf(image["creationTimestamp"]) ?? 0;
        if (image["deprecated"] === undefined && textOf(image["name"]).includes("nvidia") && at > (newest?.at ?? -1))
          newest = { name: textOf(image["name"]), at };
      }
    if (newest) return `${gpuImages}/${newest.name}`;
    throw new ProviderError(failureOf("missing", "provider", "Google Cloud shows no system image with NVIDIA's driver"));
  }

  const diskOf = async (ref: Ref, signal: AbortSignal): Promise<boolean> =>
    (await rest.find(`${zoneOf(ref)}/disks/${ref.id}`, signal)) !== undefined;

  async function describe(ref: Ref, signal: AbortSignal): Promise<Observed | undefined> {
    const instance = await rest.find(`${zoneOf(ref)}/instances/${ref.id}`, signal);
    if (instance) return observedInstance(instance, ref);
    return (await diskOf(ref, signal)) ? leftDisk(ref, parseMachineName(ref.id)) : undefined;
  }

  return {
    async create(intent, signal) {
      const zone = intent.offer.zone ?? "";
      const ref: Ref = { provider: "google", region: zone, id: intent.name };
      let body;
      try {
        body = instanceBody(intent, await imageFor(intent.offer.gpu !== undefined, signal), { now: now(), machineAccount });
      } catch (error) {
        if (error instanceof ProviderError) return { type: "failed", failure: error.failure };
        throw error;
      }
      const path = `${zoneOf(ref)}/instances?requestId=${encodeURIComponent(intent.token)}`;
      const sent = await rest.send({ method: "POST", path, json: body }, signal);
      const refused = createRefusal(sent, googleFailure, now());
      if (refused) {
        // The name is taken: by what was asked for before, under another token, or by nobody of ours.
        const there = refused.failure.kind === "conflict" ? await describe(ref, signal).catch(() => undefined) : undefined;
        if (there?.machineId === intent.machineId && there.state !== "gone") return { type: "created", observed: there };
        return refused.type === "unknown" || refused.failure.kind === "conflict"
          ? { type: "unknown", failure: refused.failure, ref }
          : refused;
      }
      const operation = sent.type === "answer" && isRecord(sent.answer.body) ? sent.answer.body : {};
      const ended = await waited(textOf(operation["name"]), ref, signal);
      const failure = operationFailure(ended ?? operation);
      if (failure) {
        const left = await describe(ref, signal).catch(() => "unseen" as const);
        return left === undefined ? { type: "failed", failure } : { type: "unknown", failure, ref };
      }
      const made = await rest.find(`${zoneOf(ref)}/instances/${ref.id}`, signal).catch(() => undefined);
      return {
        type: "created",
        observed: made
          ? observedInstance(made, ref)
          : {
              ref,
              name: intent.name,
              ...identityOf(body.labels, intent.name),
              state: "booting",
              isBilled: true,
              satellites: [],
              createdAt: now(),
            },
      };
    },
    describe,
    async *list(signal) {
      const told = new Set<string>();
      const query = `filter=${hasOurLabel}&maxResults=500&returnPartialSuccess=false`;
      for await (const page of rest.pages(`${base}/aggregated/instances?${query}`, signal))
        for (const instance of acrossZones(page, "instances", incomplete)) {
          const ref: Ref = { provider: "google", region: lastPart(textOf(instance["zone"])), id: textOf(instance["name"]) };
          told.add(`${ref.region}/${ref.id}`);
          yield observedInstance(instance, ref);
        }
      for await (const page of rest.pages(`${base}/aggregated/disks?${query}`, signal))
        for (const disk of acrossZones(page, "disks", incomplete)) {
          const ref: Ref = { provider: "google", region: lastPart(textOf(disk["zone"])), id: textOf(disk["name"]) };
          if (told.has(`${ref.region}/${ref.id}`)) continue;
          // A disk in use belongs to a machine that the list before left out.
          const isUsed = Array.isArray(disk["users"]) && disk["users"].length > 0;
          const user = isUsed ? await describe(ref, signal) : undefined;
          yield user ?? leftDisk(ref, identityOf(disk["labels"], ref.id));
        }
    },
    async terminate(ref, signal) {
      if (await deleted(`${zoneOf(ref)}/instances/${ref.id}`, signal)) return "accepted";
      return (await deleted(`${zoneOf(ref)}/disks/${ref.id}`, signal)) ? "accepted" : "gone";
    },
    async output(ref, cursor, signal) {
      const from = cursor === undefined ? "" : `&start=${encodeURIComponent(cursor)}`;
      const page = await rest.find(`${zoneOf(ref)}/instances/${ref.id}/serialPort?port=1${from}`, signal);
      if (!page) return { text: "" };
      const next = textOf(page["next"]);
      return { text: textOf(page["contents"]), ...(next === "" ? {} : { cursor: next }) };
    },
  };

  /** Undefined when it is still going on. */
  async function waited(name: string, ref: Ref, signal: AbortSignal): Promise<Record<string, unknown> | undefined> {
    if (name === "") return undefined;
    const sent = await rest.send(
      { method: "POST", path: `${zoneOf(ref)}/operations/${encodeURIComponent(name)}/wait`, timeoutMs: operationWaitMs },
      signal,
    );
    const body = sent.type === "answer" && sent.answer.status < 300 ? sent.answer.body : undefined;
    return isRecord(body) && body["status"] === "DONE" ? body : undefined;
  }

  /** False when it is not there. */
  async function deleted(path: string, signal: AbortSignal): Promise<boolean> {
    try {
      await rest.ask({ method: "DELETE", path }, signal);
      return true;
    } catch (error) {
      if (error instanceof ProviderError && error.failure.kind === "missing") return false;
      throw error;
    }
  }
}

const incomplete = (zone: string): ProviderError =>
  new ProviderError(failureOf("transient", "zone", `Google Cloud could not list ${lastPart(zone)}`));

export const lastPart = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

/** Of an offer's type: "n1-standard-8+1xnvidia-tesla-t4" is a machine and what is put into it. */
export function partsOf(type: string): {
  readonly machine: string;
  readonly accelerator?: { readonly type: string; readonly count: number };
} {
  const [, machine = type, count, accelerator] = /^([^+]+)(?:\+(\d+)x(.+))?$/.exec(type) ?? [];
  return accelerator === undefined ? { machine } : { machine, accelerator: { type: accelerator, count: Number(count) } };
}

export function labelsOf({ installId, machineId, deadline, offer }: MachineIntent): Record<string, string> {
  return {
    [labels.install]: installId.toLowerCase(),
    [labels.machine]: machineId.toLowerCase(),
    [labels.deadline]: String(Math.ceil(deadline / 1_000)),
    [labels.hourly]: priceTag(offer.hourly),
  };
}

export function instanceBody(
  intent: MachineIntent,
  image: string,
  { now, machineAccount }: { readonly now: number; readonly machineAccount: string | undefined },
) {
  const { offer, deadline, name } = intent;
  const { machine, accelerator } = partsOf(offer.type);
  const zone = `zones/${offer.zone ?? ""}`;
  const own = labelsOf(intent);
  const [least, most] = ttlSeconds;
  const seconds = Math.min(most, Math.max(least, Math.floor((deadline - now) / 1_000)));
  return {
    name,
    machineType: `${zone}/machineTypes/${machine}`,
    labels: own,
    scheduling: {
      provisioningModel: offer.isSpot ? "SPOT" : "STANDARD",
      automaticRestart: false,
      onHostMaintenance: "TERMINATE",
      // Not STOP, which leaves a disk that is paid.
      instanceTerminationAction: "DELETE",
      maxRunDuration: { seconds: String(seconds) },
    },
    ...(accelerator
      ? {
          guestAccelerators: [
            { acceleratorType: `${zone}/acceleratorTypes/${accelerator.type}`, acceleratorCount: accelerator.count },
          ],
        }
      : {}),
    disks: [
      {
        boot: true,
        autoDelete: true,
        initializeParams: {
          // The name by which what is left of a machine is found.
          diskName: name,
          sourceImage: image,
          diskSizeGb: String(Math.max(offer.gpu ? 50 : 10, Math.ceil(intent.diskMb / 1_073.741824))),
          diskType: `${zone}/diskTypes/pd-balanced`,
          labels: own,
        },
      },
    ],
    networkInterfaces: [
      { network: "global/networks/default", accessConfigs: [{ type: "ONE_TO_ONE_NAT", name: "External NAT" }] },
    ],
    metadata: {
      items: [
        { key: "user-data", value: intent.boot },
        ...(intent.publicKey === "" ? [] : [{ key: "ssh-keys", value: `nika:${intent.publicKey}` }]),
        { key: "enable-oslogin", value: "FALSE" },
        { key: "block-project-ssh-keys", value: "TRUE" },
      ],
    },
    ...(machineAccount === undefined
      ? {}
      : { serviceAccounts: [{ email: machineAccount, scopes: ["https://www.googleapis.com/auth/compute"] }] }),
  };
}

const states: Readonly<Record<string, Observed["state"]>> = {
  PENDING: "booting",
  PROVISIONING: "booting",
  STAGING: "booting",
  RUNNING: "running",
  REPAIRING: "running",
  PENDING_STOP: "ending",
  STOPPING: "ending",
  DEPROVISIONING: "ending",
  SUSPENDING: "ending",
  SUSPENDED: "stopped",
  STOPPED: "stopped",
  TERMINATED: "stopped",
};

/** Of labels, else of the name. */
export function identityOf(own: unknown, name: string): Pick<Observed, "installId" | "machineId" | "deadline"> {
  const parsed = parseMachineName(name);
  const label = (key: string): string => (isRecord(own) ? textOf(own[key]) : "");
  const installId = label(labels.install) || parsed?.installId;
  const machineId = label(labels.machine) || parsed?.machineId;
  const seconds = Number(label(labels.deadline));
  const deadline = seconds > 0 ? seconds * 1_000 : parsed?.deadline;
  return {
    ...(installId === undefined ? {} : { installId }),
    ...(machineId === undefined ? {} : { machineId }),
    ...(deadline === undefined ? {} : { deadline }),
  };
}

/** What an hour was offered for, as it stands on the thing. */
export function priceOf(own: unknown): Pick<Observed, "hourly"> {
  const hourly = parsePriceTag(isRecord(own) ? textOf(own[labels.hourly]) : undefined);
  return hourly ? { hourly } : {};
}

function observedInstance(instance: Record<string, unknown>, ref: Ref): Observed {
  const state = states[textOf(instance["status"])] ?? "running";
  const [nic] = recordsIn(instance, "networkInterfaces") ?? [];
  const host = textOf(recordsIn(nic, "accessConfigs")?.[0]?.["natIP"]);
  const createdAt = timeOf(instance["creationTimestamp"]);
  return {
    ref,
    name: ref.id,
    ...identityOf(instance["labels"], ref.id),
    ...priceOf(instance["labels"]),
    state,
    // What is stopped keeps its disk, which is paid.
    isBilled: true,
    ...(host === "" ? {} : { address: { host, sshPort: 22 } }),
    satellites: (recordsIn(instance, "disks") ?? []).flatMap((disk) =>
      textOf(disk["source"]) === "" ? [] : [{ kind: "disk" as const, id: lastPart(textOf(disk["source"])), region: ref.region }],
    ),
    ...(createdAt === undefined ? {} : { createdAt }),
  };
}

const leftDisk = (ref: Ref, identity: Pick<Observed, "installId" | "machineId" | "deadline"> | undefined): Observed => ({
  ref,
  name: ref.id,
  ...identity,
  state: "stopped",
  isBilled: true,
  satellites: [{ kind: "disk", id: ref.id, region: ref.region }],
});
