/** What the agent wakes up with, and how the machine under it is ended. */
import { resolve } from "node:path";

/** What it wakes up with; all of it comes by the environment, since every kind of machine can give one that. */
export type Setting = {
  /** "http://127.0.0.1:7001", or "unix:/path" of a socket. */
  readonly door: string;
  /** Single use. */
  readonly token: string;
  /** Everything it writes is in here. */
  readonly folder: string;
  /** Upper bound of its life, whatever anybody answers. */
  readonly lifeMs: number;
  readonly enrolMs: number;
  readonly idleMs: number;
  readonly resultsMs: number;
  readonly beatMs: number;
  /** How the machine is ended, in turn, until it is over. */
  readonly end: readonly EndStep[];
  /** Whose notices of taking the machine away are asked for. */
  readonly notice: "aws" | "google" | "azure" | undefined;
  readonly noticeUrl: string | undefined;
  /** Before the program itself: the loader of a Node that came along. */
  readonly node: readonly string[];
  /** A program that says what `nvidia-smi` would, when a scenario makes GPUs up. */
  readonly simulatedGpus: string | undefined;
  /** In a scenario: how long it takes to start, and when it is taken away, as a vendor takes spot machines. */
  readonly bootMs: number;
  readonly taken: { readonly afterMs: number; readonly noticeMs: number } | undefined;
};

/** `request`: of the vendor, with `{{name}}` filled in from an earlier answer. `exit`: the container ends with us. `shutdown`: the system. */
export type EndStep =
  | {
      readonly type: "request";
      readonly method: string;
      readonly url: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
      readonly keep?: { readonly name: string; readonly field: string };
    }
  | { readonly type: "exit" }
  | { readonly type: "shutdown" };

const span = (value: string | undefined, usual: number): number => {
  const number = Number(value ?? "");
  return Number.isFinite(number) && number > 0 ? number : usual;
};

export function settingOf(environment: NodeJS.ProcessEnv): Setting {
  const { NIKA_GPU_DOOR: door, NIKA_GPU_TOKEN: token, NIKA_GPU_FOLDER: folder } = environment;
  if (!folder) throw new Error("NIKA_GPU_FOLDER must be set.");
  const notice = environment["NIKA_GPU_NOTICE"];
  return {
    // Who was not told where to dial waits for the end that is due to whoever nobody lets in.
    door: door ?? "",
    token: token ?? "",
    folder: resolve(folder),
    lifeMs: span(environment["NIKA_GPU_LIFE_MS"], 24 * 3_600_000),
    enrolMs: span(environment["NIKA_GPU_ENROL_MS"], 15 * 60_000),
    idleMs: span(environment["NIKA_GPU_IDLE_MS"], 5 * 60_000),
    resultsMs: span(environment["NIKA_GPU_RESULTS_MS"], 30 * 60_000),
    beatMs: span(environment["NIKA_GPU_BEAT_MS"], 10_000),
    end: JSON.parse(environment["NIKA_GPU_END"] ?? '[{"type":"exit"}]') as EndStep[],
    notice: notice === "aws" || notice === "google" || notice === "azure" ? notice : undefined,
    noticeUrl: environment["NIKA_GPU_NOTICE_URL"],
    node: environment["NIKA_GPU_NODE"] ? (JSON.parse(environment["NIKA_GPU_NODE"]) as string[]) : [process.execPath],
    simulatedGpus: environment["NIKA_GPU_SIMULATED"],
    bootMs: span(environment["NIKA_GPU_BOOT_MS"], 0),
    taken: environment["NIKA_GPU_TAKEN"] ? (JSON.parse(environment["NIKA_GPU_TAKEN"]) as Setting["taken"]) : undefined,
  };
}
