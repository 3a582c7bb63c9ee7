/**
 * Machines of Contabo, which are let by the month. One is cancelled as soon as it is bought, so that no bill follows the one that was
 * agreed to, and stays until its month is over. Work that ends before lets go of it: it is stopped and takes the pool's name, under which
 * the next work finds it, paid for, and has it installed anew. Who it is for stands in its name; a reference holds region and name, so
 * that one machine's past is not taken for its present.
 */
import { parseMachineName, type CreateResult, type MachineIntent, type Observed, type Ref } from "../../../convex/model/gpu.ts";
import { ProviderError } from "../../../functions/ports/gpu.ts";
import { createRefusal, failureOf, unlessMissing, type Http } from "../http.ts";
import { isRecord, numberOf, recordsIn, textOf, timeOf } from "../record.ts";
import { contaboFailure } from "./failures.ts";

const root = "/v1/compute/instances";
const pagesMax = 500;

const states: Readonly<Record<string, Observed["state"]>> = {
  provisioning: "booting",
  installing: "booting",
  // These may take hours, and somebody's attention.
  manual_provisioning: "booting",
  pending_payment: "booting",
  verification_required: "booting",
  running: "running",
  stopped: "stopped",
  rescue: "stopped",
  reset_password: "stopped",
  error: "stopped",
  uninstalled: "stopped",
  product_not_available: "stopped",
};

export type Instance = {
  readonly id: string;
  readonly name: string;
  readonly region: string;
  readonly productId: string;
  readonly cpus: number;
  readonly memoryMb: number;
  readonly diskMb: number;
  /** When it goes; absent while it is renewed each month. */
  readonly goesAt?: number;
  readonly status: string;
  readonly host: string;
  readonly createdAt?: number;
};

export const poolName = (installId: string): string => `nika-pool-${installId.slice(0, 8)}`;
const poolPrefix = "nika-pool-";

/** All machines of the account. */
export async function readInstances(http: Http, signal: AbortSignal): Promise<Instance[]> {
  return (await readPages(http, root, signal)).map(toInstance);
}

/** Buys one, or takes one from the pool where the offer is of one. Never asked twice: a second one costs a month. */
export async function createInstance(
  http: Http,
  intent: MachineIntent,
  { imageId }: { readonly imageId: string },
  signal: AbortSignal,
): Promise<CreateResult> {
  const hide = [intent.boot, ...intent.boot.split("\n")];
  let keyIds: number[];
  try {
    keyIds = intent.publicKey === "" ? [] : [await keepKey(http, intent, signal)];
  } catch (error) {
    if (error instanceof ProviderError) return { type: "failed", failure: error.failure };
    throw error;
  }
  const setup = { imageId, sshKeys: keyIds, userData: intent.boot, defaultUser: "root" };
  const result = intent.offer.id.startsWith("pool/")
    ? await takeFromPool(http, intent, { ...setup, hide }, signal)
    : await buy(http, intent, { ...setup, hide }, signal);
  // Of no use to a machine that is not there; said again when what may be there is ended.
  if (result.type === "failed") await dropKey(http, intent.name, signal).catch(() => undefined);
  return result;
}

type Setup = {
  readonly imageId: string;
  readonly sshKeys: readonly number[];
  readonly userData: string;
  readonly defaultUser: string;
  readonly hide: readonly string[];
};

async function buy(http: Http, intent: MachineIntent, { hide, ...setup }: Setup, signal: AbortSignal): Promise<CreateResult> {
  const { offer, name } = intent;
  const json = { ...setup, productId: offer.type, region: offer.region, period: 1, displayName: name };
  const sent = await http.send({ method: "POST", path: root, json }, signal);
  const refusal = createRefusal(sent, (answer) => contaboFailure(answer, hide), http.now());
  if (refusal) return refusal;
  const made = sent.type === "answer" ? recordsIn(sent.answer.body, "data")?.[0] : undefined;
  const id = made && idOf(made.instanceId);
  if (id === undefined)
    return { type: "unknown", failure: failureOf("transient", "provider", "Contabo sold a machine and did not say which") };
  const ref: Ref = { provider: "contabo", region: `${offer.region}/${name}`, id };
  // Ending it says this again; a machine that was not cancelled now is one that is renewed if that never comes.
  await cancel(http, id, intent.deadline, signal).catch(() => undefined);
  return {
    type: "created",
    observed: { ref, name, ...parseMachineName(name), state: "booting", isBilled: true, satellites: [], createdAt: http.now() },
  };
}

async function takeFromPool(
  http: Http,
  intent: MachineIntent,
  { hide, ...setup }: Setup,
  signal: AbortSignal,
): Promise<CreateResult> {
  const id = intent.offer.id.slice("pool/".length);
  const path = `${root}/${encodeURIComponent(id)}`;
  const ref: Ref = { provider: "contabo", region: `${intent.offer.region}/${intent.name}`, id };
  let hasName = false;
  try {
    const instance = await readInstance(http, id, signal);
    if (instance?.name !== poolName(intent.installId))
      return { type: "failed", failure: failureOf("noCapacity", "type", "That machine of the pool is taken") };
    hasName = true;
    await http.ask({ method: "PATCH", path, json: { displayName: intent.name } }, signal, contaboFailure);
    await http.ask({ method: "PUT", path, json: setup }, signal, (answer) => contaboFailure(answer, hide));
    return { type: "created", observed: { ...observe({ ...instance, name: intent.name }), state: "booting" } };
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error;
    return hasName ? { type: "unknown", failure: error.failure, ref } : { type: "failed", failure: error.failure };
  }
}

/** As it is for whom the reference was made: gone, once it bears another name. */
export async function describeInstance(http: Http, ref: Ref, signal: AbortSignal): Promise<Observed | undefined> {
  const name = nameIn(ref);
  const instance = await readInstance(http, ref.id, signal);
  const keys = name === "" ? [] : await keysNamed(http, name, signal);
  const satellites = keys.map((id) => ({ kind: "key", id: String(id), region: "account" }) as const);
  if (instance && (name === "" || instance.name === name)) return { ...observe(instance), satellites };
  if (satellites.length === 0) return undefined;
  return { ref, name, ...parseMachineName(name), state: "gone", isBilled: false, satellites };
}

/**
 * Its month is cancelled; once that shows it is stopped, and only then let go of to the pool. `gone` when it is no longer the
 * reference's, and its key is away.
 */
export async function releaseInstance(http: Http, ref: Ref, signal: AbortSignal): Promise<"accepted" | "gone"> {
  const name = nameIn(ref);
  const instance = await readInstance(http, ref.id, signal);
  const identity = parseMachineName(name);
  if (instance && identity && instance.name === name) {
    if (instance.goesAt === undefined) {
      // Let go of before the vendor shows that it goes, it would be renewed with nobody to see it.
      await cancel(http, ref.id, http.now(), signal);
      return "accepted";
    }
    if (instance.status === "running")
      await http.ask({ method: "POST", path: `${root}/${ref.id}/actions/stop`, json: {} }, signal, contaboFailure);
    await dropKey(http, name, signal);
    await http.ask(
      { method: "PATCH", path: `${root}/${ref.id}`, json: { displayName: poolName(identity.installId) } },
      signal,
      contaboFailure,
    );
    return "accepted";
  }
  const hadKeys = identity ? await dropKey(http, name, signal) : false;
  return hadKeys ? "accepted" : "gone";
}

/** Ends its contract: the vendor's answer is the day, at the end of what is paid. A day in the past is one too early for it. */
async function cancel(http: Http, id: string, at: number, signal: AbortSignal): Promise<void> {
  const cancelDate = new Date(Math.max(at, http.now()) + 86_400_000).toISOString();
  await http.ask(
    { method: "POST", path: `${root}/${encodeURIComponent(id)}/cancel`, json: { cancelDate } },
    signal,
    contaboFailure,
  );
}

async function readInstance(http: Http, id: string, signal: AbortSignal): Promise<Instance | undefined> {
  const path = `${root}/${encodeURIComponent(id)}`;
  const answer = await unlessMissing(http.ask({ method: "GET", path }, signal, contaboFailure));
  const [first] = recordsIn(answer?.body, "data") ?? [];
  return first && toInstance(first);
}

export function observe(instance: Instance): Observed {
  const { id, name, region, status, host, createdAt } = instance;
  return {
    ref: { provider: "contabo", region: `${region}/${name}`, id },
    name,
    ...parseMachineName(name),
    state: states[status] ?? "running",
    isBilled: true,
    ...(host !== "" && { address: { host, sshPort: 22 } }),
    satellites: [],
    ...(createdAt !== undefined && { createdAt }),
  };
}

/** A key of the machine alone; the account's others stay as they are. */
async function keepKey(http: Http, intent: MachineIntent, signal: AbortSignal): Promise<number> {
  const [known] = await keysNamed(http, intent.name, signal);
  if (known !== undefined) return known;
  const json = { name: intent.name, type: "ssh", value: intent.publicKey };
  const { body } = await http.ask({ method: "POST", path: "/v1/secrets", json }, signal, contaboFailure);
  const [made] = recordsIn(body, "data") ?? [];
  if (!made) throw new ProviderError(failureOf("transient", "provider", "Contabo kept a key and did not say which"));
  return numberOf(made.secretId);
}

async function keysNamed(http: Http, name: string, signal: AbortSignal): Promise<number[]> {
  const secrets = await readPages(http, `/v1/secrets?type=ssh&name=${encodeURIComponent(name)}`, signal);
  return secrets.filter((one) => textOf(one.name) === name).map((one) => numberOf(one.secretId));
}

async function dropKey(http: Http, name: string, signal: AbortSignal): Promise<boolean> {
  const ids = await keysNamed(http, name, signal);
  for (const id of ids) await unlessMissing(http.ask({ method: "DELETE", path: `/v1/secrets/${id}` }, signal, contaboFailure));
  return ids.length > 0;
}

/** Every page; fewer than the vendor counts is a failure. */
async function readPages(http: Http, path: string, signal: AbortSignal): Promise<Record<string, unknown>[]> {
  const all: Record<string, unknown>[] = [];
  for (let page = 1; page <= pagesMax; page++) {
    const query = `${path.includes("?") ? "&" : "?"}page=${page}&size=100`;
    const { body } = await http.ask({ method: "GET", path: path + query }, signal, contaboFailure);
    const entries = recordsIn(body, "data");
    const about = isRecord(body) ? body._pagination : undefined;
    if (!entries || !isRecord(about)) break;
    all.push(...entries);
    if (all.length >= numberOf(about.totalElements)) return all;
    if (entries.length === 0) break;
  }
  throw new ProviderError(failureOf("transient", "provider", "Contabo's list changed while it was read"));
}

function toInstance(one: Record<string, unknown>): Instance {
  const v4 = isRecord(one.ipConfig) && isRecord(one.ipConfig.v4) ? one.ipConfig.v4 : {};
  const [goesAt, createdAt] = [timeOf(one.cancelDate), timeOf(one.createdDate)];
  return {
    id: idOf(one.instanceId) ?? "",
    name: textOf(one.displayName) || textOf(one.name),
    region: textOf(one.region),
    productId: textOf(one.productId),
    cpus: numberOf(one.cpuCores),
    memoryMb: numberOf(one.ramMb),
    diskMb: numberOf(one.diskMb),
    ...(goesAt !== undefined && { goesAt }),
    status: textOf(one.status),
    host: textOf(v4.ip),
    ...(createdAt !== undefined && { createdAt }),
  };
}

export const isInPool = ({ name, status }: Instance): boolean =>
  name.startsWith(poolPrefix) && (status === "stopped" || status === "running");
const idOf = (value: unknown): string | undefined =>
  typeof value === "number" && Number.isInteger(value) ? String(value) : undefined;
const nameIn = ({ region }: Ref): string => (region.includes("/") ? region.slice(region.indexOf("/") + 1) : "");
