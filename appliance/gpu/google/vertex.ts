/**
 * Vertex AI's custom jobs: an image runs to its end, and Google ends it at the timeout. Creating has no token and names are not unique,
 * so what bears the name is looked for first; between two questions at once that is no promise.
 */
import type { CreateResult, MachineIntent, Observed, Ref } from "../../../convex/model/gpu.ts";
import { ProviderError } from "../../../functions/ports/gpu.ts";
import { createRefusal, failureOf } from "../http.ts";
import { isRecord, recordsIn, textOf, timeOf } from "../record.ts";
import { hasOurLabel, identityOf, labelsOf, partsOf, priceOf } from "./compute.ts";
import { googleFailure, jobFailure } from "./failures.ts";
import type { Rest, hostsOf } from "./rest.ts";

export type VertexOptions = {
  readonly rest: Rest;
  readonly hosts: ReturnType<typeof hostsOf>;
  readonly project: string;
  readonly now: () => number;
  /** What a job acts as; absent: Vertex's own account of the project. */
  readonly serviceAccount: string | undefined;
};

export type Vertex = {
  create(intent: MachineIntent, signal: AbortSignal): Promise<CreateResult>;
  describe(ref: Ref, signal: AbortSignal): Promise<Observed | undefined>;
  list(region: string, signal: AbortSignal): AsyncIterable<Observed>;
  terminate(ref: Ref, signal: AbortSignal): Promise<"accepted" | "gone">;
  output(ref: Ref, cursor: string | undefined, signal: AbortSignal): Promise<{ readonly text: string; readonly cursor?: string }>;
};

export const isJob = (ref: Ref): boolean => ref.id.includes("/customJobs/");

export function openVertex({ rest, hosts, project, now, serviceAccount }: VertexOptions): Vertex {
  const parent = (region: string): string => `${hosts.vertex(region)}/projects/${project}/locations/${region}`;
  const at = (ref: Ref): string => `${hosts.vertex(ref.region)}/${ref.id}`;

  const describe: Vertex["describe"] = async (ref, signal) => {
    const job = await rest.find(at(ref), signal);
    return job && observedJob(job, ref.region);
  };

  return {
    async create(intent, signal) {
      const { region } = intent.offer;
      if (!intent.container) return { type: "failed", failure: failureOf("invalid", "type", "Vertex AI needs an image to run") };
      try {
        const named = encodeURIComponent(`display_name="${intent.name}"`);
        for await (const page of rest.pages(`${parent(region)}/customJobs?filter=${named}`, signal)) {
          const [there] = recordsIn(page, "customJobs") ?? [];
          if (there) return { type: "created", observed: observedJob(there, region) };
        }
      } catch (error) {
        if (error instanceof ProviderError) return { type: "failed", failure: error.failure };
        throw error;
      }
      const json = jobBody(intent, intent.container, now(), serviceAccount);
      const sent = await rest.send({ method: "POST", path: `${parent(region)}/customJobs`, json }, signal);
      const refused = createRefusal(sent, googleFailure, now());
      if (refused) return refused;
      const job = sent.type === "answer" && isRecord(sent.answer.body) ? sent.answer.body : {};
      if (textOf(job["name"]) === "")
        return { type: "unknown", failure: failureOf("transient", "region", "Vertex AI said yes without naming a job") };
      return { type: "created", observed: observedJob(job, region) };
    },
    describe,
    async *list(region, signal) {
      for await (const page of rest.pages(`${parent(region)}/customJobs?filter=${hasOurLabel}&pageSize=100`, signal))
        for (const job of recordsIn(page, "customJobs") ?? []) yield observedJob(job, region);
    },
    async terminate(ref, signal) {
      const job = await describe(ref, signal);
      if (!job || job.state === "gone") return "gone";
      try {
        await rest.ask({ method: "POST", path: `${at(ref)}:cancel`, json: {} }, signal);
        return "accepted";
      } catch (error) {
        if (error instanceof ProviderError && error.failure.kind === "missing") return "gone";
        throw error;
      }
    },
    async output(ref, cursor, signal) {
      const id = ref.id.slice(ref.id.lastIndexOf("/") + 1);
      const filter = `resource.type="ml_job" resource.labels.job_id="${id}"${cursor === undefined ? "" : ` timestamp>"${cursor}"`}`;
      const { body } = await rest.ask(
        {
          method: "POST",
          path: `${hosts.logging}/entries:list`,
          json: { resourceNames: [`projects/${project}`], filter, orderBy: "timestamp asc", pageSize: 1_000 },
        },
        signal,
      );
      const entries = recordsIn(body, "entries") ?? [];
      const text = entries.map((entry) => `${lineOf(entry)}\n`).join("");
      const next = textOf(entries.at(-1)?.["timestamp"]) || cursor;
      return next === undefined ? { text } : { text, cursor: next };
    },
  };
}

const lineOf = (entry: Record<string, unknown>): string =>
  textOf(entry["textPayload"]) || (isRecord(entry["jsonPayload"]) ? textOf(entry["jsonPayload"]["message"]) : "");

export function jobBody(
  intent: MachineIntent,
  container: NonNullable<MachineIntent["container"]>,
  now: number,
  serviceAccount: string | undefined,
) {
  const { machine, accelerator } = partsOf(intent.offer.type);
  return {
    displayName: intent.name,
    labels: labelsOf(intent),
    jobSpec: {
      workerPoolSpecs: [
        {
          machineSpec: {
            machineType: machine,
            ...(accelerator
              ? { acceleratorType: accelerator.type.toUpperCase().replaceAll("-", "_"), acceleratorCount: accelerator.count }
              : {}),
          },
          replicaCount: "1",
          diskSpec: { bootDiskType: "pd-ssd", bootDiskSizeGb: Math.max(100, Math.ceil(intent.diskMb / 1_073.741824)) },
          containerSpec: {
            imageUri: container.image,
            args: container.args,
            env: Object.entries(container.environment).map(([name, value]) => ({ name, value })),
          },
        },
      ],
      scheduling: {
        timeout: `${Math.max(60, Math.floor((intent.deadline - now) / 1_000))}s`,
        strategy: intent.offer.isSpot ? "SPOT" : "STANDARD",
        // Running it again is ours to decide, and to pay.
        disableRetries: true,
        restartJobOnWorkerRestart: false,
      },
      ...(serviceAccount === undefined ? {} : { serviceAccount }),
    },
  };
}

const states: Readonly<Record<string, Observed["state"]>> = {
  JOB_STATE_QUEUED: "booting",
  JOB_STATE_PENDING: "booting",
  JOB_STATE_RUNNING: "running",
  JOB_STATE_UPDATING: "running",
  JOB_STATE_PAUSED: "stopped",
  JOB_STATE_CANCELLING: "ending",
  JOB_STATE_SUCCEEDED: "gone",
  JOB_STATE_PARTIALLY_SUCCEEDED: "gone",
  JOB_STATE_FAILED: "gone",
  JOB_STATE_CANCELLED: "gone",
  JOB_STATE_EXPIRED: "gone",
};

function observedJob(job: Record<string, unknown>, region: string): Observed {
  const name = textOf(job["displayName"]);
  const raw = textOf(job["state"]);
  const state = states[raw] ?? "running";
  const createdAt = timeOf(job["createTime"]);
  const isFull = jobFailure(job["error"])?.kind === "noCapacity";
  const wentBy =
    raw === "JOB_STATE_SUCCEEDED" ? "itself" : /FAILED|EXPIRED/.test(raw) ? (isFull ? "preemption" : "vendor") : undefined;
  return {
    ref: { provider: "google", region, id: textOf(job["name"]) },
    name,
    ...identityOf(job["labels"], name),
    ...priceOf(job["labels"]),
    state,
    ...(wentBy === undefined ? {} : { wentBy }),
    isBilled: state !== "gone",
    satellites: [],
    ...(createdAt === undefined ? {} : { createdAt }),
  };
}
