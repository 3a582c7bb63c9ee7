/**
 * Serverless: an endpoint of one machine's work, of at most one worker, which RunPod stops by itself. The endpoint carries the name and
 * costs nothing while no worker is up; its one job carries the vendor's own time limits. The image must speak RunPod's worker protocol.
 */
import type { CreateResult, MachineIntent, Observed, Ref } from "../../../convex/model/gpu.ts";
import { ProviderError } from "../../../functions/ports/gpu.ts";
import { createRefusal, failureOf, unlessMissing, type Http } from "../http.ts";
import { isRecord, numberOf, recordsIn, textOf, timeOf } from "../record.ts";
import { createFailure, requestFailure } from "./failures.ts";
import { environmentOf, identityOf, shellWords } from "./pods.ts";

const place = "serverless";
/** A job may wait and run for a week at most, and must be given 5 s. */
const jobMsMax = 7 * 86_400_000;

export const isServerless = (ref: Ref): boolean => ref.region === place;

/** An endpoint, then its job. A job that was refused takes its endpoint along. */
export async function createEndpoint(
  http: Http,
  runUrl: string,
  intent: MachineIntent,
  signal: AbortSignal,
): Promise<CreateResult> {
  const { container, offer } = intent;
  if (!container || !offer.gpu)
    return { type: "failed", failure: failureOf("invalid", "type", "Serverless work needs an image and a GPU") };
  const limitMs = Math.min(jobMsMax, Math.max(5_000, intent.deadline - http.now()));
  const env = environmentOf(intent);
  const hide = [...Object.values(env), ...container.args];
  const body = {
    name: intent.name,
    type: "QUEUE",
    image: container.image,
    args: shellWords(container.args),
    disk: Math.max(1, Math.ceil(intent.diskMb / 1_000)),
    env,
    gpu: { pools: [offer.type], count: offer.gpu.count },
    dataCenterIds: [offer.region],
    workers: { min: 0, max: 1, idleTimeout: 5 },
    scaling: { type: "QUEUE_DELAY", queueDelay: 1 },
    timeout: limitMs,
  };
  const sent = await http.send({ method: "POST", path: "/v2/serverless", json: body }, signal);
  const refusal = createRefusal(sent, (answer) => createFailure(answer, hide), http.now());
  if (refusal) return refusal;
  const observed = sent.type === "answer" ? fromEndpoint(sent.answer.body, []) : undefined;
  if (!observed)
    return { type: "unknown", failure: failureOf("transient", "provider", "RunPod made an endpoint and did not say which") };

  const job = { input: { machineId: intent.machineId }, policy: { executionTimeout: limitMs, ttl: limitMs } };
  const run = await http.send({ method: "POST", path: `${runUrl}/v2/${observed.ref.id}/run`, json: job }, signal);
  const refused = createRefusal(run, (answer) => createFailure(answer, hide), http.now());
  if (!refused) return { type: "created", observed };
  const isEnded = await deleteEndpoint(http, observed.ref, signal).catch(() => undefined);
  return isEnded
    ? { type: "failed", failure: refused.failure }
    : { type: "unknown", failure: refused.failure, ref: observed.ref };
}

export async function describeEndpoint(http: Http, ref: Ref, signal: AbortSignal): Promise<Observed | undefined> {
  const path = `/v2/serverless/${encodeURIComponent(ref.id)}`;
  const endpoint = await unlessMissing(http.ask({ method: "GET", path }, signal, requestFailure));
  if (!endpoint) return undefined;
  const workers = await unlessMissing(http.ask({ method: "GET", path: `${path}/workers` }, signal, requestFailure));
  return fromEndpoint(endpoint.body, recordsIn(workers?.body, "workers") ?? []);
}

/** Workers are not looked up for each: an endpoint may have one at any time, so it counts as billed. */
export async function listEndpoints(http: Http, signal: AbortSignal): Promise<Observed[]> {
  const { body } = await http.ask({ method: "GET", path: "/v2/serverless" }, signal, requestFailure);
  const endpoints = recordsIn(body, "endpoints");
  if (!endpoints)
    throw new ProviderError(failureOf("transient", "provider", "RunPod answered with something else than endpoints"));
  return endpoints.flatMap((endpoint) => fromEndpoint(endpoint, undefined) ?? []);
}

export async function deleteEndpoint(http: Http, ref: Ref, signal: AbortSignal): Promise<"accepted" | "gone"> {
  const path = `/v2/serverless/${encodeURIComponent(ref.id)}`;
  return (await unlessMissing(http.ask({ method: "DELETE", path }, signal, requestFailure))) ? "accepted" : "gone";
}

/** `workers` undefined: not looked at. One that waits for capacity is not paid for. */
function fromEndpoint(endpoint: unknown, workers: readonly Record<string, unknown>[] | undefined): Observed | undefined {
  if (!isRecord(endpoint) || textOf(endpoint.id) === "") return undefined;
  const name = textOf(endpoint.name);
  const isUp = workers?.some((worker) => ["RUNNING", "IDLE"].includes(textOf(worker.status)));
  const isPaid = workers?.some((worker) => textOf(worker.status) !== "THROTTLED");
  const most = isRecord(endpoint.workers) ? numberOf(endpoint.workers.max) : 1;
  const createdAt = timeOf(endpoint.createdAt);
  return {
    ref: { provider: "runpod", region: place, id: textOf(endpoint.id) },
    name,
    ...identityOf(name, endpoint.env),
    state: isUp ? "running" : "booting",
    isBilled: isPaid ?? most > 0,
    satellites: [],
    ...(createdAt !== undefined && { createdAt }),
  };
}
