/** Pods: containers on RunPod's machines, paid by the second until they are deleted. Identity is in their environment and in their name. */
import { parseMachineName, type CreateResult, type MachineIntent, type Observed, type Ref } from "../../../convex/model/gpu.ts";
import { ProviderError } from "../../../functions/ports/gpu.ts";
import { createRefusal, failureOf, unlessMissing, type Http } from "../http.ts";
import { isRecord, numberOf, recordsIn, textOf, timeOf } from "../record.ts";
import { createFailure, requestFailure } from "./failures.ts";
import { usd } from "./offers.ts";

const states: Readonly<Record<string, Observed["state"]>> = {
  PROVISIONING: "booting",
  STARTING: "booting",
  RUNNING: "running",
  // A container that ended or never worked: the pod is there until it is deleted, and its disk with it.
  EXITED: "stopped",
  ERROR: "stopped",
  TERMINATED: "gone",
};

/** One request: there is no token here, so what got lost must be looked for by name. */
export async function createPod(http: Http, intent: MachineIntent, signal: AbortSignal): Promise<CreateResult> {
  const { container, offer } = intent;
  if (!container) return { type: "failed", failure: failureOf("invalid", "type", "A pod needs an image to run") };
  const env = environmentOf(intent);
  const body = {
    name: intent.name,
    image: container.image,
    args: shellWords(container.args),
    cloud: "SECURE",
    dataCenterIds: [offer.region],
    disk: Math.max(1, Math.ceil(intent.diskMb / 1_000)),
    ports: ["22/tcp"],
    env,
    ...(offer.gpu ? { gpu: { id: offer.type, count: offer.gpu.count } } : { cpu: { id: offer.type, vcpuCount: offer.cpus } }),
  };
  const sent = await http.send({ method: "POST", path: "/v2/pods", json: body }, signal);
  const hide = [...Object.values(env), ...container.args];
  const refusal = createRefusal(sent, (answer) => createFailure(answer, hide), http.now());
  if (refusal) return refusal;
  const observed = sent.type === "answer" ? fromPod(sent.answer.body) : undefined;
  if (observed) return { type: "created", observed };
  return { type: "unknown", failure: failureOf("transient", "provider", "RunPod made something and did not say what") };
}

export async function describePod(http: Http, ref: Ref, signal: AbortSignal): Promise<Observed | undefined> {
  const answer = await unlessMissing(
    http.ask({ method: "GET", path: `/v2/pods/${encodeURIComponent(ref.id)}` }, signal, requestFailure),
  );
  return answer && fromPod(answer.body);
}

/** Members of clusters are in it as well, so that nothing of an account is out of sight. */
export async function listPods(http: Http, signal: AbortSignal): Promise<Observed[]> {
  const { body } = await http.ask({ method: "GET", path: "/v2/pods?includeClusterPods=true" }, signal, requestFailure);
  const pods = recordsIn(body, "pods");
  if (!pods) throw new ProviderError(failureOf("transient", "provider", "RunPod answered with something else than its pods"));
  return pods.flatMap((pod) => fromPod(pod) ?? []);
}

export async function deletePod(http: Http, ref: Ref, signal: AbortSignal): Promise<"accepted" | "gone"> {
  const path = `/v2/pods/${encodeURIComponent(ref.id)}`;
  return (await unlessMissing(http.ask({ method: "DELETE", path }, signal, requestFailure))) ? "accepted" : "gone";
}

/** Who it is and until when, beside what was asked for; and the key for SSH, which keeps the account's keys out of it. */
export function environmentOf(intent: MachineIntent): Record<string, string> {
  return {
    ...intent.container?.environment,
    // Empty, it would keep the account's own from those who connect with them.
    ...(intent.publicKey !== "" && { PUBLIC_KEY: intent.publicKey }),
    NIKA_INSTALL_ID: intent.installId,
    NIKA_MACHINE_ID: intent.machineId,
    NIKA_UNTIL: String(Math.ceil(intent.deadline / 1000)),
  };
}

/** Identity by environment where it is ours, else by name. */
export function identityOf(name: string, env: unknown): Pick<Observed, "installId" | "machineId" | "deadline"> {
  const read = isRecord(env) ? env : {};
  const [installId, machineId] = [textOf(read.NIKA_INSTALL_ID), textOf(read.NIKA_MACHINE_ID)];
  const until = Number(read.NIKA_UNTIL);
  if (installId !== "" && machineId !== "" && until > 0) return { installId, machineId, deadline: until * 1000 };
  return parseMachineName(name) ?? {};
}

/** One string out of many, for a vendor that splits it as a shell would. */
export function shellWords(words: readonly string[]): string {
  return words
    .map((word) => (/^[A-Za-z0-9_./:=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`))
    .join(" ");
}

function fromPod(pod: unknown): Observed | undefined {
  if (!isRecord(pod) || textOf(pod.id) === "") return undefined;
  const name = textOf(pod.name);
  // A state that we do not know is one that may be billed.
  const state = states[textOf(pod.status)] ?? "running";
  const direct = isRecord(pod.ssh) && isRecord(pod.ssh.direct) ? pod.ssh.direct : undefined;
  const createdAt = timeOf(pod.createdAt);
  return {
    ref: { provider: "runpod", region: textOf(pod.dataCenterId) || "any", id: textOf(pod.id) },
    name,
    ...identityOf(name, pod.env),
    state,
    isBilled: state !== "gone",
    ...(direct && { address: { host: textOf(direct.host), sshPort: numberOf(direct.port) } }),
    satellites: [],
    hourly: usd(numberOf(pod.cost)),
    ...(createdAt !== undefined && { createdAt }),
  };
}
