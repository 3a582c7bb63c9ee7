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
  /** Another origin for all services. */
  readonly url: string | undefined;
  /** `/subscriptions/…/workspaces/…`. */
  readonly workspace: string;
  readonly now: () => number;
};

export type Learning = {
  create(intent: MachineIntent, signal: AbortSignal): Promise<CreateResult>;
  describe(ref: Ref, signal: AbortSignal): Promise<Observed | undefined>;
  list(signal: AbortSignal): AsyncIterable<Observed>;
  terminate(ref: Ref, signal: AbortSignal): Promise<"accepted" | "gone">;
  /** What its command has written, from a byte on. */
  output(ref: Ref, cursor: string | undefined, signal: AbortSignal): Promise<{ readonly text: string; readonly cursor?: string }>;
};

const prefix = "jobs/";
export const isJob = (ref: Ref): boolean => ref.id.startsWith(prefix);

/** Where jobs of all kinds write what their command says. */
const commandLog = "user_logs/std_log.txt";

export function openLearning({ arm, url, workspace, now }: LearningOptions): Learning {
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

  /** The workspace's own service, which knows of runs what the manager of resources does not. */
  async function serviceOf(signal: AbortSignal): Promise<string> {
    const found = await arm.find(`${workspace}${version}`, signal);
    const properties = isRecord(found?.["properties"]) ? found["properties"] : {};
    const address = textOf(properties["discoveryUrl"]);
    const { protocol, hostname, origin } = URL.canParse(address) ? new URL(address) : new URL("none://none");
    // It is sent our token.
    const isAzures = protocol === "https:" && hostname.endsWith(".azureml.ms");
    if (!isAzures && origin !== url)
      throw new ProviderError(failureOf("transient", "region", "Azure does not say where the workspace's service is"));
    return origin;
  }

  return {
    async output(ref, cursor, signal) {
      const run = encodeURIComponent(ref.id.slice(prefix.length));
      const path = `${await serviceOf(signal)}/history/v1.0${workspace}/runs/${run}/details`;
      const details = await arm.find(path, signal);
      const files = isRecord(details?.["logFiles"]) ? details["logFiles"] : {};
      const file = textOf(files[commandLog]);
      const from = Number(cursor ?? 0);
      const nothing = { text: "", cursor: String(from) };
      // It is there once the command has begun.
      if (file === "") return nothing;
      // Its address holds a key of its own; ours is none of that store's business.
      const sent = await arm.send({ method: "GET", path: file, headers: { range: `bytes=${from}-` }, isBare: true }, signal);
      if (sent.type === "none") throw new ProviderError(sent.failure);
      const { status, text } = sent.answer;
      if (status === 416) return nothing;
      if (status >= 300) throw new ProviderError(azureFailure(sent.answer));
      const fresh = status === 206 ? text : Buffer.from(text).subarray(from).toString("utf8");
      return { text: fresh, cursor: String(from + Buffer.byteLength(fresh)) };
    },
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
