/** Azure Machine Learning's command jobs, on compute that Azure brings and ends. A job is known by its name, so asking again is asking the same. */
import type { CreateResult, MachineIntent, Observed, Ref } from "../../../convex/model/gpu.ts";
import { parseMachineName } from "../../../convex/model/gpu.ts";
import { ProviderError } from "../../../functions/ports/gpu.ts";
import { createRefusal, failureOf } from "../http.ts";
import { isRecord, textOf, timeOf } from "../record.ts";
import { versions, type Arm } from "./arm.ts";
import { jobBody, labels, priceOf } from "./bodies.ts";
import { azureFailure } from "./failures.ts";
import { shortHash } from "./machine.ts";

export type LearningOptions = {
  readonly arm: Arm;
  /** `/subscriptions/…/workspaces/…`. */
  readonly workspace: string;
  readonly now: () => number;
};

export type Learning = {
  create(intent: MachineIntent, signal: AbortSignal): Promise<CreateResult>;
  describe(ref: Ref, signal: AbortSignal): Promise<Observed | undefined>;
  list(signal: AbortSignal): AsyncIterable<Observed>;
  terminate(ref: Ref, signal: AbortSignal): Promise<"accepted" | "gone">;
};

const prefix = "jobs/";
export const isJob = (ref: Ref): boolean => ref.id.startsWith(prefix);

export function openLearning({ arm, workspace, now }: LearningOptions): Learning {
  const version = `?api-version=${versions.learning}`;
  const jobOf = (ref: Ref): string => `${workspace}/${prefix}${encodeURIComponent(ref.id.slice(prefix.length))}`;

  /** Images are named before jobs may use them; the same image, the same name. */
  async function environmentFor(image: string, signal: AbortSignal): Promise<string> {
    const id = `${workspace}/environments/nika/versions/${shortHash(image)}`;
    if (!(await arm.find(`${id}${version}`, signal)))
      await arm.ask({ method: "PUT", path: `${id}${version}`, json: { properties: { image, osType: "Linux" } } }, signal);
    return id;
  }

  const describe: Learning["describe"] = async (ref, signal) => {
    const job = await arm.find(`${jobOf(ref)}${version}`, signal);
    return job && observedJob(job, ref.region);
  };

  return {
    async create(intent, signal) {
      const { container, offer, name } = intent;
      const ref: Ref = { provider: "azure", region: offer.region, id: `${prefix}${name}` };
      if (!container)
        return { type: "failed", failure: failureOf("invalid", "type", "Azure Machine Learning needs an image to run") };
      let json;
      try {
        // What is there is not asked for again: a job that is over would not start anew, one that runs would be changed.
        const there = await describe(ref, signal);
        if (there) return { type: "created", observed: there };
        json = jobBody(intent, container, { environmentId: await environmentFor(container.image, signal), now: now() });
      } catch (error) {
        if (error instanceof ProviderError) return { type: "failed", failure: error.failure };
        throw error;
      }
      const sent = await arm.send({ method: "PUT", path: `${jobOf(ref)}${version}`, json }, signal);
      const refused = createRefusal(sent, azureFailure, now());
      if (refused) return refused.type === "unknown" ? { ...refused, ref } : refused;
      const made = sent.type === "answer" && isRecord(sent.answer.body) ? sent.answer.body : {};
      return { type: "created", observed: observedJob({ ...made, name }, offer.region) };
    },
    describe,
    async *list(signal) {
      const where = await arm.find(`${workspace}${version}`, signal);
      for await (const job of arm.all(`${workspace}/jobs${version}&tag=${labels.install}`, signal))
        yield observedJob(job, textOf(where?.["location"]));
    },
    async terminate(ref, signal) {
      const job = await describe(ref, signal);
      if (!job || job.state === "gone") return "gone";
      try {
        await arm.ask({ method: "POST", path: `${jobOf(ref)}/cancel${version}`, json: {} }, signal);
        return "accepted";
      } catch (error) {
        if (error instanceof ProviderError && error.failure.kind === "missing") return "gone";
        throw error;
      }
    },
  };
}

const states: Readonly<Record<string, Observed["state"]>> = {
  NotStarted: "booting",
  Starting: "booting",
  Provisioning: "booting",
  Preparing: "booting",
  Queued: "booting",
  Running: "running",
  Finalizing: "ending",
  CancelRequested: "ending",
  Paused: "stopped",
  Completed: "gone",
  Failed: "gone",
  Canceled: "gone",
};
const ends: Readonly<Record<string, Observed["wentBy"]>> = { Completed: "itself", Failed: "vendor" };

function observedJob(job: Record<string, unknown>, region: string): Observed {
  const name = textOf(job["name"]);
  const properties = isRecord(job["properties"]) ? job["properties"] : {};
  const tags = isRecord(properties["tags"]) ? properties["tags"] : {};
  const system = isRecord(job["systemData"]) ? job["systemData"] : {};
  const status = textOf(properties["status"]) || "NotStarted";
  const state = states[status] ?? "running";
  const parsed = parseMachineName(name);
  const installId = textOf(tags[labels.install]) || parsed?.installId;
  const machineId = textOf(tags[labels.machine]) || parsed?.machineId;
  const createdAt = timeOf(system["createdAt"]);
  const wentBy = ends[status];
  return {
    ref: { provider: "azure", region, id: `${prefix}${name}` },
    name,
    ...(installId === undefined ? {} : { installId }),
    ...(machineId === undefined ? {} : { machineId }),
    ...(parsed ? { deadline: parsed.deadline } : {}),
    ...priceOf(tags),
    state,
    ...(wentBy === undefined ? {} : { wentBy }),
    isBilled: state !== "gone",
    satellites: [],
    ...(createdAt === undefined ? {} : { createdAt }),
  };
}
