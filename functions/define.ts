import type { JobArgs, JobKind } from "../convex/model/kinds.ts";
import type { Outcome } from "../convex/model/job.ts";
import type { Answers } from "./ports/answers.ts";
import type { Clock } from "./ports/clock.ts";
import type { Embedder, Embedders } from "./ports/embedder.ts";
import type { Files } from "./ports/files.ts";
import type { Boots, Providers } from "./ports/gpu.ts";
import type { Gpu } from "./ports/gpu.ts";
import type { LanguageModel } from "./ports/languageModel.ts";
import type { PictureVectors } from "./ports/pictures.ts";
import type { Reader } from "./ports/reader.ts";
import type { Reranker } from "./ports/reranker.ts";
import type { Servers } from "./ports/servers.ts";
import type { Spaces } from "./ports/spaces.ts";
import type { State } from "./ports/state.ts";
import type { Trainer } from "./ports/trainer.ts";
import type { Tuner } from "./ports/tuner.ts";
import type { UserFunctions } from "./ports/userFunctions.ts";
import type { Vectors } from "./ports/vectors.ts";
import type { Workers } from "./ports/workers.ts";
import type { VisualEmbedder } from "./ports/visual.ts";

/** Everything functions may ever touch. Nobody is handed the whole bundle: see `needs`. */
export type Ports = {
  readonly state: State;
  readonly files: Files;
  readonly reader: Reader;
  /** The one that this machine has. Themes and captions are compared by it, and passages as long as no other was put in force. */
  readonly embedder: Embedder;
  /** Those that passages are searched by. Absent where there is only the one above. */
  readonly embedders?: Embedders | undefined;
  readonly vectors: Vectors;
  readonly clock: Clock;
  readonly answers: Answers;
  /** Absent on a worker that has none of the owner's functions. */
  readonly userFunctions?: UserFunctions | undefined;
  /** Absent on a worker that runs none. */
  readonly servers?: Servers | undefined;
  /** Absent on a worker elsewhere: what was asked stays on this machine. */
  readonly trainer?: Trainer | undefined;
  /** Absent where none is configured. */
  readonly languageModel?: LanguageModel | undefined;
  /** Absent on a worker elsewhere, as the trainer is. */
  readonly tuner?: Tuner | undefined;
  /** Absent on a worker elsewhere: the vault is moved by the machine that holds the models. */
  readonly spaces?: Spaces | undefined;
  /** Absent on a worker elsewhere: machines are rented by one. */
  readonly gpu?: Gpu | undefined;
  /** Absent where there is no such model. */
  readonly reranker?: Reranker | undefined;
  /** Absent, together, where pictures are kept and not looked for. */
  readonly visual?: VisualEmbedder | undefined;
  readonly pictures?: PictureVectors | undefined;
  /** Absent, together, on a worker that rents nothing. */
  readonly providers?: Providers | undefined;
  readonly boots?: Boots | undefined;
  readonly workers?: Workers | undefined;
};

export type Call<K extends JobKind> = {
  readonly jobId: string;
  /** Of the lease: what is written in the name of the job carries it. */
  readonly token?: string;
  readonly args: JobArgs<K>;
  /** 1 on the first try. */
  readonly attempt: number;
  /** Fires when the lease is lost, the owner cancels or the appliance stops. Nothing may be written after it fired. */
  readonly signal: AbortSignal;
  /** How far it got, for people. Coalesced by the runtime, so call it freely. */
  readonly progress: (done: number, total: number) => void;
};

export type JobFunction<K extends JobKind, Needs extends keyof Ports> = {
  readonly kind: K;
  readonly needs: readonly Needs[];
  readonly run: (call: Call<K>, ports: Pick<Ports, Needs>) => Promise<Outcome>;
};

/** Ties a kind to the code that does it. `needs` limits what `run` may touch; using another port is a type error. */
export function defineFunction<K extends JobKind, const Needs extends keyof Ports>(
  definition: JobFunction<K, Needs>,
): JobFunction<K, Needs> {
  return definition;
}

export type CallFunction<Args, Result, Needs extends keyof Ports> = {
  readonly name: string;
  readonly needs: readonly Needs[];
  /** After this many ms the asker gets `timeout`. A call is never retried by us. */
  readonly deadlineMs: number;
  readonly run: (args: Args, ports: Pick<Ports, Needs>, signal: AbortSignal) => Promise<Result>;
};

/** An answer someone waits for now: no lease, no retry. */
export function defineCall<Args, Result, const Needs extends keyof Ports>(
  definition: CallFunction<Args, Result, Needs>,
): CallFunction<Args, Result, Needs> {
  return definition;
}
