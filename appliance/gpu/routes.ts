/** What the owner does about rented machines that a query cannot: quotes, folders, accounts. Each answers with what it did, in words for people. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { isAbsolute } from "node:path";
import { providers, type AccountCheck, type Money, type Need, type ProviderId } from "../../convex/model/gpu.ts";
import type { GpuAsk, QuoteView } from "../../convex/model/gpuJob.ts";
import { NikaError } from "../../convex/model/error.ts";
import type { Weighed } from "../../functions/machines/offers.ts";
import type { Swept } from "../../functions/machines/sweep.ts";
import { ProviderError, type Payload } from "../../functions/ports/gpu.ts";
import type { SignIn } from "./ssh/signIn.ts";

export type GpuActs = {
  quote(wish: Wish, by: string, signal: AbortSignal): Promise<QuoteView>;
  /** The folder with a job's results. Fails with `missing` when there are none here. */
  results(jobId: string): string;
  /** What all providers that are set up would let now, by the rule that places work; asks them, and spends nothing. */
  offers(wish: Pick<Wish, "need" | "runMsMax" | "costMax" | "providers">, signal: AbortSignal): Promise<OffersNow>;
  /** How the owner signs in to a machine. Fails with `missing` or `unavailable` when there is no way in. */
  signIn(machine: string, signal: AbortSignal): Promise<SignIn>;
  /** What a machine's provider has of its output, for when nothing on it dials in. Fails with `missing` where it has none. */
  console(machine: string, signal: AbortSignal): Promise<{ readonly name: string; readonly text: string }>;
  sweep(isDryRun: boolean, signal: AbortSignal): Promise<Swept>;
  check(provider: ProviderId, signal: AbortSignal): Promise<readonly AccountCheck[]>;
  /** Keeps what a provider is reached with, and looks at what is free to look at. */
  connect(
    provider: ProviderId,
    credentials: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<readonly AccountCheck[]>;
  disconnect(provider: ProviderId): Promise<void>;
  listProviders(): Promise<readonly ProviderState[]>;
  /** What the paid proof of a provider would cost at most. */
  quoteProof(provider: ProviderId, signal: AbortSignal): Promise<QuoteView>;
  /** How rented machines reach Nika now, and the names of the fields of the owner's mesh. */
  mesh(): MeshState;
  connectMesh(fields: Readonly<Record<string, string>>, signal: AbortSignal): Promise<readonly AccountCheck[]>;
  disconnectMesh(): Promise<void>;
  /** Signs in to a machine of the owner's, looks at what it is, and keeps it with its key. */
  addHost(wish: HostWish): Promise<Added>;
  prove(quoteId: string, signal: AbortSignal): Promise<Proof>;
};
export type Wish = Omit<Payload, "key"> & Pick<GpuAsk, "providers" | "deadlineAt">;
export type ProviderState = {
  readonly id: ProviderId;
  readonly isSetUp: boolean;
  readonly wants: readonly string[];
  /** Whether its machines could reach Nika. */
  readonly isReached: boolean;
};
export type MeshState = {
  readonly isSetUp: boolean;
  /** Of Nika in the mesh. */
  readonly address: string | undefined;
  readonly wants: readonly string[];
  /** Of rented machines; containers need an address in any case. */
  readonly way: { readonly by: "mesh" | "address" | "tunnel"; readonly url: string };
};
export type HostWish = {
  readonly address: string;
  readonly name?: string;
  readonly slots: number;
  readonly fingerprint?: string;
};
/** `publicKey`: what has to be let in there first. `host` is absent as long as it is not, or its key was not agreed to. */
export type Added = {
  readonly publicKey: string;
  readonly fingerprint?: string;
  readonly says: string;
  readonly isAdded: boolean;
};
/** Best first. `refused` will not do, and why. */
export type OffersNow = Pick<Weighed, "choices" | "refused" | "says" | "failures">;
export type Proof = { readonly passed: boolean; readonly facts: readonly string[] };

type Exchange = {
  readonly isOwner: (token: string) => boolean;
  readonly readJson: (request: IncomingMessage, bytesMax?: number) => Promise<Record<string, unknown>>;
  readonly send: (status: number, body: object) => void;
};
export type GpuRoute = (request: IncomingMessage, response: ServerResponse, exchange: Exchange) => Promise<void>;

const prefix = "/nika/gpu/";

/** Undefined for paths that are none of theirs. */
export function gpuRoutes(acts: GpuActs): (path: string) => GpuRoute | undefined {
  const answer = async (name: string, body: Record<string, unknown>, signal: AbortSignal): Promise<object> => {
    switch (name) {
      case "quote":
        return acts.quote(toWish(body), "owner", signal);
      case "results":
        return { folder: acts.results(String(body["jobId"])) };
      case "offers":
        return acts.offers(toErrand(body), signal);
      case "console":
        return acts.console(String(body["machine"]), signal);
      case "signIn":
        return acts.signIn(String(body["machine"]), signal);
      case "sweep":
        return acts.sweep(body["isDryRun"] !== false, signal);
      case "providers":
        return { providers: await acts.listProviders(), mesh: acts.mesh() };
      case "connectMesh":
        return { checks: await acts.connectMesh(toCredentials(body["credentials"]), signal) };
      case "disconnectMesh":
        await acts.disconnectMesh();
        return {};
      case "check":
        return { checks: await acts.check(toProvider(body), signal) };
      case "connect":
        return { checks: await acts.connect(toProvider(body), toCredentials(body["credentials"]), signal) };
      case "disconnect":
        await acts.disconnect(toProvider(body));
        return {};
      case "prove":
        return acts.prove(String(body["quoteId"]), signal);
      case "addHost":
        return acts.addHost(toHostWish(body));
      case "quoteProof":
        return acts.quoteProof(toProvider(body), signal);
      default:
        throw new NikaError("missing", `There is no ${prefix}${name} here.`);
    }
  };
  return (path) => {
    if (!path.startsWith(prefix)) return undefined;
    return async (request, response, { isOwner, readJson, send }) => {
      if (!isOwner((request.headers.authorization ?? "").replace(/^Bearer /, "")))
        throw new NikaError("denied", "Only the owner may ask.");
      if (request.method !== "POST") throw new NikaError("missing", "There is nothing to see here.");
      const gone = new AbortController();
      response.on("close", () => gone.abort());
      const body = await readJson(request);
      send(200, await answer(path.slice(prefix.length), body, gone.signal).catch(rethrow));
    };
  };
}

/** A vendor's refusal is none of Nika's faults. */
function rethrow(error: unknown): never {
  if (!(error instanceof ProviderError)) throw error;
  const { kind, says } = error.failure;
  throw new NikaError(kind === "auth" ? "denied" : kind === "missing" ? "missing" : "unavailable", says, { cause: error });
}

function toHostWish({ address, name, slots = 1, fingerprint }: Record<string, unknown>): HostWish {
  if (typeof address !== "string" || typeof slots !== "number" || !Number.isInteger(slots) || slots < 1 || slots > 64)
    throw new NikaError("invalid", "Give an address, and 1 to 64 slots.");
  return {
    address,
    slots,
    ...(typeof name === "string" && { name }),
    ...(typeof fingerprint === "string" && { fingerprint }),
  };
}

function toProvider({ provider }: Record<string, unknown>): ProviderId {
  const found = providers.find((one) => one === provider);
  if (!found) throw new NikaError("invalid", `"${String(provider)}" is no provider; there are ${providers.join(", ")}.`);
  return found;
}

function toCredentials(value: unknown): Record<string, string> {
  if (typeof value !== "object" || value === null || Object.values(value).some((one) => typeof one !== "string"))
    throw new NikaError("invalid", "Credentials are named texts.");
  return value as Record<string, string>;
}

/** What a person or program wishes to have run, from JSON. Fails with `invalid`, naming what is wrong. */
export function toWish(body: Record<string, unknown>): Wish {
  const { folder, command, label, image, environment } = body;
  const wrong = (what: string): never => {
    throw new NikaError("invalid", what);
  };
  if (typeof folder !== "string" || !isAbsolute(folder)) return wrong("Name the folder by its whole path.");
  if (!Array.isArray(command) || command.length === 0 || command[0] === "" || command.some((word) => typeof word !== "string"))
    return wrong("Say what is to be run: a command and its words.");
  if (image !== undefined && typeof image !== "string") return wrong("The image is a text.");
  const variables = environment === undefined ? {} : toCredentials(environment);
  return {
    folder,
    command: command as string[],
    label: typeof label === "string" && label !== "" ? label : (command as string[]).join(" ").slice(0, 80),
    ...(image !== undefined && image !== "" && { image }),
    environment: variables,
    ...toErrand(body),
  };
}

/** What it needs, for how long, and where it may be. */
function toErrand(body: Record<string, unknown>): Pick<Wish, "need" | "runMsMax" | "costMax" | "providers"> {
  const { need = {}, runMsMax, costMax, providers: only } = body;
  if (typeof runMsMax !== "number" || !(runMsMax > 0)) throw new NikaError("invalid", "Say how long it may run at most.");
  return {
    need: toNeed(need),
    runMsMax,
    ...(costMax !== undefined && { costMax: toMoney(costMax) }),
    ...(Array.isArray(only) && only.length > 0 && { providers: only.map((one) => toProvider({ provider: one })) }),
  };
}

function toMoney(value: unknown): Money {
  const { micros, currency } = value as Partial<Money>;
  if (typeof micros !== "number" || !Number.isInteger(micros) || micros < 0 || (currency !== "EUR" && currency !== "USD"))
    throw new NikaError("invalid", "An amount is a whole number of millionths of EUR or USD.");
  return { micros, currency };
}

function toNeed(value: unknown): Need {
  if (typeof value !== "object" || value === null) throw new NikaError("invalid", "What the machine must have is an object.");
  const { gpu, cpus, memoryMb, diskMb, isInEu, maySpot } = value as Need;
  const numbers = { cpus, memoryMb, diskMb, ...(gpu && { count: gpu.count, gpuMemoryMb: gpu.memoryMb }) };
  for (const [name, one] of Object.entries(numbers))
    if (one !== undefined && !(typeof one === "number" && one >= 0)) throw new NikaError("invalid", `${name} is a number.`);
  return {
    ...(gpu && {
      gpu: { count: gpu.count, memoryMb: gpu.memoryMb, ...(Array.isArray(gpu.names) && { names: gpu.names.map(String) }) },
    }),
    ...(cpus !== undefined && { cpus }),
    ...(memoryMb !== undefined && { memoryMb }),
    ...(diskMb !== undefined && { diskMb }),
    ...(isInEu === true && { isInEu }),
    ...(maySpot === true && { maySpot }),
  };
}
