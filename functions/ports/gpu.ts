import type { BillRead, BillTerms } from "../../convex/model/bill.ts";
import type {
  AccountCheck,
  Capability,
  CreateResult,
  Failure,
  MachineIntent,
  Money,
  Need,
  Observed,
  Offer,
  ProviderId,
  Ref,
} from "../../convex/model/gpu.ts";

/** What every failure of a provider's is thrown as, but for those of `create`, which are its result. */
export class ProviderError extends Error {
  override readonly name = "ProviderError";
  readonly failure: Failure;

  constructor(failure: Failure, options?: { cause?: unknown }) {
    super(failure.says, options);
    this.failure = failure;
  }
}

/**
 * Who lets machines. No policy and no retrying in here: it says what the vendor said. Everything may fail with `ProviderError`. Its exam
 * is tests/contracts/gpuProvider.ts.
 */
export type Provider = {
  readonly id: ProviderId;
  readonly capability: Capability;
  /** What could be had for this, stock and price as the vendor tells them now. */
  offers(need: Need, signal: AbortSignal): Promise<readonly Offer[]>;
  /** Asks once. Never throws for what the vendor answers; tags everything it makes before anything can be billed. */
  create(intent: MachineIntent, signal: AbortSignal): Promise<CreateResult>;
  /** Undefined when the vendor says that there is none; a thing that ended may be shown as `gone` for a while. */
  describe(ref: Ref, signal: AbortSignal): Promise<Observed | undefined>;
  /**
   * Everything in the account that is or may be ours or another install's, in all regions in use: machines, also stopped ones, and what
   * stayed behind without one (an Observed of state `stopped`, with its satellites). Fails rather than leaving some out.
   */
  list(signal: AbortSignal): AsyncIterable<Observed>;
  /** Ends it and its satellites. `accepted` is no proof; it may be said again and again. */
  terminate(ref: Ref, signal: AbortSignal): Promise<"accepted" | "gone">;
  /** Makes one of our keys known to the account, beside those that are there. Only where `create` does not take it along. */
  pushSshKey?(key: { readonly name: string; readonly publicKey: string }, signal: AbortSignal): Promise<void>;
  /**
   * A key by which what runs on a machine of this name can have it ended; good until a little after its deadline. Undefined where the owner
   * set none up. `terminate` takes it back.
   */
  endKey?(machine: Pick<MachineIntent, "name" | "deadline">, signal: AbortSignal): Promise<string | undefined>;
  /** Key, rights, quota and stock, without spending anything. Does not throw: what fails is a check that did not pass. */
  check(signal: AbortSignal): Promise<readonly AccountCheck[]>;
  /** What the vendor has billed for it so far, where it tells. */
  billed?(ref: Ref, signal: AbortSignal): Promise<Money | undefined>;
  /** How it tells what it billed. Absent where nothing is billed. */
  readonly billTerms?: BillTerms;
  /** What it billed in these days or months (`convex/model/bill.ts`), as far as it tells yet. Absent where it tells none. */
  bill?(periods: readonly string[], signal: AbortSignal): Promise<BillRead>;
  /** What the vendor has of its output, from a cursor of its own on; for when nothing on the machine ever dialled in. */
  output?(
    ref: Ref,
    cursor: string | undefined,
    signal: AbortSignal,
  ): Promise<{ readonly text: string; readonly cursor?: string }>;
};

export type Providers = {
  /** Of 8 characters `a-z0-9`, kept in the data folder: what is ours carries it, also when the database is lost. */
  readonly installId: string;
  /** Those that are set up. `local` always is. */
  list(): readonly ProviderId[];
  /** Loads what it takes to speak to it. Fails with `missing` when it is not set up. */
  open(id: ProviderId): Promise<Provider>;
};

/** What is put into an intent so that the machine dials in, with a token good for one enrolment. Behind it: appliance/gpu/agent. */
export type Boots = {
  /**
   * `epoch` counts the machines of one piece of work; its life ends at `deadline`, by the appliance's clock. Keeps no state: asked twice, it says
   * the same. `secretHash` is what `machineBeats.enrol` will be shown.
   */
  of(machine: {
    /** What it is known by outside: `machines.key`. */
    readonly key: string;
    readonly epoch: number;
    readonly deadline: number;
    readonly offer: Offer;
    readonly image?: string;
    /** For what runs on it to end it with, where the provider has such a key. */
    readonly endKey?: string;
  }): Promise<Pick<MachineIntent, "boot" | "container" | "publicKey"> & { readonly secretHash: string }>;
};

/** Work with files for a machine that has what it needs. */
export type Payload = {
  /** Names the work: asked for again under the same key, what there is of it is found again. */
  readonly key: string;
  readonly label: string;
  /** A folder that is shipped as it is. */
  readonly folder: string;
  /** Run in the folder's copy. Results go to the folder that `NIKA_OUT` names; see docs/gpu.md for the other names. */
  readonly command: readonly string[];
  readonly image?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly need: Need;
  readonly runMsMax: number;
  readonly costMax?: Money;
};

/** Has payloads run elsewhere or here, under leases that are always paid off. */
export type Gpu = {
  /**
   * Runs it to its end, or goes on with what runs under its key. Resolves with a folder that holds its results, each checked by hash.
   * Fails with `cancelled`, with `full` when it would cost more than it may, with `unavailable` when no machine is to be had, with
   * `invalid` (and the end of its output) when its command failed.
   */
  run(
    payload: Payload,
    watching: { readonly signal: AbortSignal; readonly output: (line: string) => void },
  ): Promise<{ readonly folder: string; readonly facts: readonly string[] }>;
};
