/**
 * One machine, one group of resources: network, address, disk and machine are made in it and go with it. A machine that shut itself down
 * goes on being billed here, and one that could not be placed may still be left behind.
 */
import { createHash, generateKeyPair } from "node:crypto";
import { promisify } from "node:util";
import type { CreateResult, MachineIntent, Observed, Ref, Satellite } from "../../../convex/model/gpu.ts";
import { parseMachineName } from "../../../convex/model/gpu.ts";
import { ProviderError } from "../../../functions/ports/gpu.ts";
import { createRefusal } from "../http.ts";
import { isRecord, recordsIn, textOf } from "../record.ts";
import { versions, type Arm } from "./arm.ts";
import { azureFailure } from "./failures.ts";
import { labelsOf, labels, machineBody, networkBody, priceOf, scheduleBody, sshBody } from "./bodies.ts";

export type MachineOptions = {
  readonly arm: Arm;
  /** `/subscriptions/…`. */
  readonly subscription: string;
  readonly now: () => number;
  /** The id of a role that may delete the group it is given for, and nothing else. */
  readonly selfDeleteRole: string | undefined;
};

export type Machines = {
  create(intent: MachineIntent, signal: AbortSignal): Promise<CreateResult>;
  describe(ref: Ref, signal: AbortSignal): Promise<Observed | undefined>;
  list(signal: AbortSignal): AsyncIterable<Observed>;
  terminate(ref: Ref, signal: AbortSignal): Promise<"accepted" | "gone">;
};

/** A network is there within seconds. */
const networkWaitMs = 30_000;
/** Whether there is room is known by then; whoever takes longer is booting. */
const placeWaitMs = 60_000;

export function openMachines({ arm, subscription, now, selfDeleteRole }: MachineOptions): Machines {
  const groupOf = (name: string): string => `${subscription}/resourceGroups/${encodeURIComponent(name)}`;
  const groupPath = (name: string): string => `${groupOf(name)}?api-version=${versions.groups}`;
  const machineOf = (name: string): string =>
    `${groupOf(name)}/providers/Microsoft.Compute/virtualMachines/${encodeURIComponent(name)}`;

  /** All but the machine itself: free of charge, tagged from the first call on. */
  async function prepare(intent: MachineIntent, signal: AbortSignal): Promise<string> {
    const { name, offer } = intent;
    const tags = labelsOf(intent, now());
    const place = { location: offer.region, tags };
    await arm.ask({ method: "PUT", path: groupPath(name), json: place }, signal);
    const network = `${groupOf(name)}/providers/Microsoft.Network`;
    const guard = `${network}/networkSecurityGroups/nika`;
    const version = `?api-version=${versions.network}`;
    const guarded = await arm.ask({ method: "PUT", path: `${guard}${version}`, json: { ...place, ...sshBody } }, signal);
    await arm.follow(guarded, networkWaitMs, signal);
    const made = await arm.ask(
      { method: "PUT", path: `${network}/virtualNetworks/nika${version}`, json: { ...place, ...networkBody(guard) } },
      signal,
    );
    await arm.follow(made, networkWaitMs, signal);
    return `${network}/virtualNetworks/nika/subnets/nika`;
  }

  /** What helps it end by itself. The machine is there without it, so nothing of it may fail the create. */
  async function arrangeItsEnd(intent: MachineIntent, body: unknown, signal: AbortSignal): Promise<void> {
    const { name, token, offer } = intent;
    const schedule = scheduleBody({ intent, machine: machineOf(name), now: now() });
    if (schedule) {
      const path = `${groupOf(name)}/providers/Microsoft.DevTestLab/schedules/shutdown-computevm-${name}?api-version=${versions.schedules}`;
      await arm.send({ method: "PUT", path, json: { location: offer.region, ...schedule } }, signal);
    }
    const identity = isRecord(body) && isRecord(body["identity"]) ? textOf(body["identity"]["principalId"]) : "";
    if (selfDeleteRole === undefined || identity === "") return;
    const path = `${groupOf(name)}/providers/Microsoft.Authorization/roleAssignments/${token}?api-version=${versions.roles}`;
    const properties = { roleDefinitionId: selfDeleteRole, principalId: identity, principalType: "ServicePrincipal" };
    await arm.send({ method: "PUT", path, json: { properties } }, signal);
  }

  async function terminate(ref: Ref, signal: AbortSignal): Promise<"accepted" | "gone"> {
    const path = `${groupPath(ref.id)}&forceDeletionTypes=${encodeURIComponent("Microsoft.Compute/virtualMachines")}`;
    try {
      await arm.ask({ method: "DELETE", path }, signal);
      return "accepted";
    } catch (error) {
      if (!(error instanceof ProviderError)) throw error;
      if (error.failure.kind === "missing") return "gone";
      // It is being deleted already.
      if (error.failure.kind === "conflict") return "accepted";
      throw error;
    }
  }

  async function describe(ref: Ref, signal: AbortSignal): Promise<Observed | undefined> {
    const group = await arm.find(groupPath(ref.id), signal);
    if (!group) return undefined;
    const [machine, resources, addresses] = await Promise.all([
      arm.find(`${machineOf(ref.id)}?$expand=instanceView&api-version=${versions.compute}`, signal),
      Array.fromAsync(arm.all(`${groupOf(ref.id)}/resources?api-version=${versions.groups}`, signal)),
      Array.fromAsync(
        arm.all(`${groupOf(ref.id)}/providers/Microsoft.Network/publicIPAddresses?api-version=${versions.network}`, signal),
      ),
    ]);
    const host = addresses
      .map((one) => textOf(isRecord(one["properties"]) ? one["properties"]["ipAddress"] : ""))
      .find((text) => text !== "");
    return {
      ...observedGroup(group, machine, resources),
      ...(host === undefined ? {} : { address: { host, sshPort: 22 } }),
    };
  }

  return {
    async create(intent, signal) {
      const { name, offer } = intent;
      const ref: Ref = { provider: "azure", region: offer.region, id: name };
      let subnet;
      try {
        // One of that name is what was asked for before; asking anew could only try to change it.
        const there = await describe(ref, signal);
        if (there?.state === "running" || there?.state === "booting") return { type: "created", observed: there };
        subnet = await prepare(intent, signal);
      } catch (error) {
        if (!(error instanceof ProviderError)) throw error;
        // Groups and networks cost nothing, but one of ours may be there now.
        const left = await arm.find(groupPath(name), signal).catch(() => ({}));
        return left ? { type: "unknown", failure: error.failure, ref } : { type: "failed", failure: error.failure };
      }
      const publicKey = intent.publicKey === "" ? await nobodysKey() : intent.publicKey;
      const json = machineBody({ ...intent, publicKey }, { subnet, hasIdentity: selfDeleteRole !== undefined, now: now() });
      const sent = await arm.send({ method: "PUT", path: `${machineOf(name)}?api-version=${versions.compute}`, json }, signal);
      const refused = createRefusal(sent, azureFailure, now());
      // The group is there whatever became of the machine, so it is never simply "failed".
      const giveUp = async (failure: Extract<CreateResult, { type: "failed" }>["failure"]): Promise<CreateResult> => {
        const ending = await terminate(ref, signal).catch(() => "unseen" as const);
        return ending === "gone" ? { type: "failed", failure } : { type: "unknown", failure, ref };
      };
      if (refused?.type === "failed") return await giveUp(refused.failure);
      if (refused) return { ...refused, ref };
      if (sent.type !== "answer") throw new Error("unreachable");
      try {
        await arm.follow(sent.answer, placeWaitMs, signal);
      } catch (error) {
        if (error instanceof ProviderError && error.failure.kind !== "transient") return await giveUp(error.failure);
        if (error instanceof ProviderError) return { type: "unknown", failure: error.failure, ref };
        throw error;
      }
      await arrangeItsEnd(intent, sent.answer.body, signal);
      const group = { name, location: offer.region, tags: labelsOf(intent, now()) };
      return { type: "created", observed: observedGroup(group, isRecord(sent.answer.body) ? sent.answer.body : {}, []) };
    },
    describe,
    async *list(signal) {
      const machines = new Map<string, Record<string, unknown>>();
      const all = `${subscription}/providers/Microsoft.Compute/virtualMachines?statusOnly=true&api-version=${versions.compute}`;
      for await (const machine of arm.all(all, signal)) machines.set(groupIn(textOf(machine["id"])), machine);
      const ours = `${subscription}/resourcegroups?$filter=${encodeURIComponent(`tagName eq '${labels.install}'`)}&api-version=${versions.groups}`;
      for await (const group of arm.all(ours, signal)) {
        const name = textOf(group["name"]);
        const machine = machines.get(name.toLowerCase());
        if (machine) yield observedGroup(group, machine, []);
        else {
          // One list may lag behind the other, so what seems empty is looked into.
          const seen = await describe({ provider: "azure", region: textOf(group["location"]), id: name }, signal);
          if (seen) yield seen;
        }
      }
    },
    terminate,
  };
}

/** Azure makes no machine that nobody could sign in to; this key's other half is kept by nobody. */
async function nobodysKey(): Promise<string> {
  const { publicKey } = await promisify(generateKeyPair)("rsa", { modulusLength: 2048 });
  const { n = "", e = "" } = publicKey.export({ format: "jwk" });
  const part = (bytes: Buffer): Buffer => Buffer.concat([Buffer.from([0, 0, bytes.length >> 8, bytes.length & 255]), bytes]);
  // A number whose first bit is set would be read as negative.
  const number = (text: string): Buffer => {
    const bytes = Buffer.from(text, "base64url");
    return part((bytes[0] ?? 0) > 127 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes);
  };
  return `ssh-rsa ${Buffer.concat([part(Buffer.from("ssh-rsa")), number(e), number(n)]).toString("base64")} nobody`;
}

/** Azure changes the case of names in ids as it likes. */
const groupIn = (id: string): string => /\/resourcegroups\/([^/]+)/i.exec(id)?.[1]?.toLowerCase() ?? "";

const powers: Readonly<Record<string, Observed["state"]>> = {
  "PowerState/starting": "booting",
  "PowerState/running": "running",
  "PowerState/stopping": "ending",
  "PowerState/deallocating": "ending",
  "PowerState/stopped": "stopped",
  "PowerState/deallocated": "stopped",
};

/** What is in the group as satellites, the group itself among them. */
function observedGroup(
  group: Record<string, unknown>,
  machine: Record<string, unknown> | undefined,
  resources: readonly Record<string, unknown>[],
): Observed {
  const name = textOf(group["name"]);
  const region = textOf(group["location"]);
  const tags = isRecord(group["tags"]) ? group["tags"] : {};
  const properties = isRecord(group["properties"]) ? group["properties"] : {};
  const satellites: Satellite[] = resources.flatMap((one) => {
    const kind = satelliteKinds[textOf(one["type"]).toLowerCase()];
    return kind ? [{ kind, id: textOf(one["name"]), region }] : [];
  });
  const isEnding = properties["provisioningState"] === "Deleting";
  const state = isEnding ? "ending" : machine ? stateOf(machine) : "stopped";
  // Spot machines are deleted when they are taken back; their network stays and tells that there was one.
  const wasTaken = !isEnding && !machine && tags[labels.spot] === "yes" && resources.length > 0;
  const parsed = parseMachineName(name);
  const seconds = Number(textOf(tags[labels.deadline]));
  const installId = textOf(tags[labels.install]) || parsed?.installId;
  const machineId = textOf(tags[labels.machine]) || parsed?.machineId;
  const deadline = seconds > 0 ? seconds * 1_000 : parsed?.deadline;
  const since = Number(textOf(tags[labels.since]));
  return {
    ref: { provider: "azure", region, id: name },
    name,
    ...(installId === undefined ? {} : { installId }),
    ...(machineId === undefined ? {} : { machineId }),
    ...(deadline === undefined ? {} : { deadline }),
    // What is left without its machine costs less, and nobody says how much.
    ...(machine ? priceOf(tags) : {}),
    ...(since > 0 ? { createdAt: since * 1_000 } : {}),
    state,
    ...(wasTaken ? { wentBy: "preemption" as const } : {}),
    // A machine that shut itself down is billed in full.
    isBilled: machine !== undefined || satellites.length > 0,
    satellites: [...satellites, { kind: "group", id: name, region }],
  };
}

const satelliteKinds: Readonly<Record<string, Satellite["kind"]>> = {
  "microsoft.compute/disks": "disk",
  "microsoft.network/publicipaddresses": "address",
  "microsoft.network/networkinterfaces": "nic",
};

function stateOf(machine: Record<string, unknown>): Observed["state"] {
  const properties = isRecord(machine["properties"]) ? machine["properties"] : {};
  const view = isRecord(properties["instanceView"]) ? properties["instanceView"] : {};
  for (const { code } of recordsIn(view, "statuses") ?? []) {
    const power = powers[textOf(code)];
    if (power) return power;
  }
  if (properties["provisioningState"] === "Deleting") return "ending";
  return properties["provisioningState"] === "Succeeded" ? "running" : "booting";
}

/** A name that stays the same for the same words; for assets that are made once. */
export const shortHash = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 16);
