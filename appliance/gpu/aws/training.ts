/**
 * SageMaker's training jobs: an image runs to its end, and AWS itself ends it at the limit. Names are unique in an account and region,
 * so asking again is asking the same. The image must lie in the account's ECR.
 */
import type { CreateResult, MachineIntent, Observed, Ref } from "../../../convex/model/gpu.ts";
import { parseMachineName } from "../../../convex/model/gpu.ts";
import { ProviderError } from "../../../functions/ports/gpu.ts";
import { createRefusal, failureOf } from "../http.ts";
import { tagKeys } from "./ec2.ts";
import { jsonFailure, logs, sageMaker, type AwsJson } from "./json.ts";

export type TrainingOptions = {
  /** What a job acts as, and where SageMaker puts what it leaves: `s3://bucket/path`. */
  readonly roleArn: string;
  readonly outputs: string;
};

export type Training = {
  create(intent: MachineIntent, signal: AbortSignal): Promise<CreateResult>;
  describe(ref: Ref, signal: AbortSignal): Promise<Observed | undefined>;
  list(region: string, signal: AbortSignal): AsyncIterable<Observed>;
  terminate(ref: Ref, signal: AbortSignal): Promise<"accepted" | "gone">;
  output(ref: Ref, cursor: string | undefined, signal: AbortSignal): Promise<{ readonly text: string; readonly cursor?: string }>;
  /** Seconds that AWS bills, as it says itself; undefined while it does not. */
  billedSeconds(ref: Ref, signal: AbortSignal): Promise<{ readonly seconds: number; readonly type: string } | undefined>;
};

type Job = {
  TrainingJobName?: string;
  TrainingJobStatus?: string;
  SecondaryStatus?: string;
  CreationTime?: number;
  BillableTimeInSeconds?: number;
  ResourceConfig?: { InstanceType?: string };
};

const logGroup = "/aws/sagemaker/TrainingJobs";
const namesAreOurs = "nika-";
/** Older ones are over: SageMaker lets none run for longer than 28 days. */
const lookBackMs = 29 * 86_400_000;

export function openTraining(
  json: AwsJson,
  now: () => number,
  options: TrainingOptions | undefined,
  hide: readonly string[],
): Training {
  const describeRaw = async (ref: Ref, signal: AbortSignal): Promise<Job | undefined> => {
    try {
      return (await json.ask([sageMaker, ref.region, "DescribeTrainingJob"], { TrainingJobName: ref.id }, signal)) as Job;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  };

  return {
    async create(intent, signal) {
      const { offer, container } = intent;
      const ref: Ref = { provider: "aws", region: offer.region, id: intent.name };
      if (!options || !container)
        return {
          type: "failed",
          failure: failureOf("invalid", "type", "SageMaker needs a role, a place for outputs and an image"),
        };
      const sent = await json.send(
        [sageMaker, offer.region, "CreateTrainingJob"],
        jobRequest(intent, container, options, now()),
        signal,
      );
      if (sent.type === "answer" && jsonFailure(sent.answer).kind === "conflict" && sent.answer.status >= 400) {
        // One of that name is there: it is what was asked for before.
        const there = await describeRaw(ref, signal).catch(() => undefined);
        if (there) return { type: "created", observed: observedJob(there, offer.region) };
      }
      const refused = createRefusal(sent, (answer) => jsonFailure(answer, hide), now());
      if (refused) return refused.type === "unknown" ? { ...refused, ref } : refused;
      return {
        type: "created",
        observed: observedJob(
          { TrainingJobName: intent.name, TrainingJobStatus: "InProgress", CreationTime: now() / 1000 },
          offer.region,
        ),
      };
    },
    async describe(ref, signal) {
      const job = await describeRaw(ref, signal);
      return job ? observedJob(job, ref.region) : undefined;
    },
    async *list(region, signal) {
      let next: string | undefined;
      do {
        const page = (await json.ask(
          [sageMaker, region, "ListTrainingJobs"],
          {
            NameContains: namesAreOurs,
            CreationTimeAfter: (now() - lookBackMs) / 1000,
            MaxResults: 100,
            ...(next === undefined ? {} : { NextToken: next }),
          },
          signal,
        )) as { TrainingJobSummaries?: readonly Job[]; NextToken?: string };
        for (const job of page.TrainingJobSummaries ?? []) yield observedJob(job, region);
        next = page.NextToken;
      } while (next !== undefined && next !== "");
    },
    async terminate(ref, signal) {
      try {
        await json.ask([sageMaker, ref.region, "StopTrainingJob"], { TrainingJobName: ref.id }, signal);
        return "accepted";
      } catch (error) {
        if (isMissing(error)) return "gone";
        // A job that is over cannot be stopped; it says so with a code that also means other things.
        if (error instanceof ProviderError && error.failure.kind === "invalid") {
          const job = await describeRaw(ref, signal);
          if (!job || observedJob(job, ref.region).state === "gone") return "gone";
        }
        throw error;
      }
    },
    async output(ref, cursor, signal) {
      try {
        const { logStreams = [] } = (await json.ask(
          [logs, ref.region, "DescribeLogStreams"],
          { logGroupName: logGroup, logStreamNamePrefix: `${ref.id}/` },
          signal,
        )) as { logStreams?: readonly { logStreamName?: string }[] };
        const stream = logStreams[0]?.logStreamName;
        if (stream === undefined) return { text: "" };
        const page = (await json.ask(
          [logs, ref.region, "GetLogEvents"],
          {
            logGroupName: logGroup,
            logStreamName: stream,
            startFromHead: true,
            ...(cursor === undefined ? {} : { nextToken: cursor }),
          },
          signal,
        )) as { events?: readonly { message?: string }[]; nextForwardToken?: string };
        const text = (page.events ?? []).map(({ message }) => `${message ?? ""}\n`).join("");
        const next = page.nextForwardToken ?? cursor;
        return next === undefined ? { text } : { text, cursor: next };
      } catch (error) {
        if (isMissing(error)) return { text: "" };
        throw error;
      }
    },
    async billedSeconds(ref, signal) {
      const job = await describeRaw(ref, signal);
      const seconds = job?.BillableTimeInSeconds;
      const type = job?.ResourceConfig?.InstanceType;
      return seconds === undefined || type === undefined ? undefined : { seconds, type };
    },
  };
}

/** The time limit is what is left until the deadline: AWS ends it then, whatever becomes of us. */
export function jobRequest(
  { name, installId, machineId, deadline, offer, diskMb }: MachineIntent,
  container: NonNullable<MachineIntent["container"]>,
  { roleArn, outputs }: TrainingOptions,
  now: number,
): object {
  const seconds = Math.max(60, Math.floor((deadline - now) / 1000));
  return {
    TrainingJobName: name,
    RoleArn: roleArn,
    AlgorithmSpecification: {
      TrainingImage: container.image,
      TrainingInputMode: "File",
      ...(container.args.length > 0 ? { ContainerArguments: container.args } : {}),
    },
    OutputDataConfig: { S3OutputPath: outputs },
    ResourceConfig: { InstanceType: offer.type, InstanceCount: 1, VolumeSizeInGB: Math.ceil(diskMb / 1073.741824) },
    // Waiting for capacity counts too, within what the vendor takes (two hours at least, 28 days at most).
    StoppingCondition: { MaxRuntimeInSeconds: seconds },
    Environment: container.environment,
    Tags: [
      { Key: "Name", Value: name },
      { Key: tagKeys.install, Value: installId },
      { Key: tagKeys.machine, Value: machineId },
      { Key: tagKeys.deadline, Value: String(Math.ceil(deadline / 1000)) },
    ],
  };
}

const states: Readonly<Record<string, Observed["state"]>> = {
  InProgress: "running",
  Stopping: "ending",
  Stopped: "gone",
  Completed: "gone",
  Failed: "gone",
};

const ends: Readonly<Record<string, Observed["wentBy"]>> = { Completed: "itself", Failed: "vendor" };

/** Identity and deadline are read from the name: lists tell no tags. */
function observedJob(job: Job, region: string): Observed {
  const name = job.TrainingJobName ?? "";
  const state =
    job.TrainingJobStatus === "InProgress" && /^(Starting|Pending)$/.test(job.SecondaryStatus ?? "")
      ? "booting"
      : (states[job.TrainingJobStatus ?? ""] ?? "running");
  const wentBy = job.SecondaryStatus === "MaxRuntimeExceeded" ? "vendor" : ends[job.TrainingJobStatus ?? ""];
  return {
    ref: { provider: "aws", region, id: name },
    name,
    ...parseMachineName(name),
    state,
    ...(wentBy === undefined ? {} : { wentBy }),
    isBilled: state !== "gone",
    satellites: [],
    ...(job.CreationTime === undefined ? {} : { createdAt: Math.round(job.CreationTime * 1000) }),
  };
}

/** SageMaker says "could not find" with a code of validation. */
const isMissing = (error: unknown): boolean =>
  error instanceof ProviderError &&
  (error.failure.kind === "missing" ||
    (error.failure.kind === "invalid" && /not found|could not find|does not exist/i.test(error.failure.says)));
