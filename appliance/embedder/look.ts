import { openProcesses, ProcessLostError } from "../processes/processes.ts";

export type LookRequest =
  | { readonly type: "describe"; readonly words: string; readonly isQuestion: boolean }
  /** As PNG, upright, on white, no side longer than this. */
  | { readonly type: "shrink"; readonly sideMax: number };
/** Empty when the picture cannot be decoded. */
export type LookReply = { readonly vector?: Float32Array; readonly png?: Uint8Array };

/** Decoding the largest picture that is read takes 150 MB and less than a second. */
const memoryMiBMax = 512;
const timeLimitMs = 30_000;
const idleMs = 20_000;

/** Decodes pictures in a process of its own. A picture that its process is lost over counts as one that cannot be decoded. */
export type Looker = {
  /** See ml/embed/visual.ts; `isQuestion` for `like`. */
  describe(
    bytes: Uint8Array,
    options: { readonly words: string; readonly isQuestion: boolean },
    signal: AbortSignal,
  ): Promise<Float32Array | undefined>;
  shrink(bytes: Uint8Array, sideMax: number, signal: AbortSignal): Promise<Uint8Array | undefined>;
  close(): Promise<void>;
};

export function openLooker(): Looker {
  const entry = new URL("visualProcess.ts", import.meta.url);
  const processes = openProcesses<LookRequest, LookReply>({
    entry,
    processesMax: 1,
    memoryMiBMax,
    timeLimitMs,
    idleMs,
    allowsAddons: true,
  });
  const look = (request: LookRequest, bytes: Uint8Array, signal: AbortSignal): Promise<LookReply> =>
    processes.call(request, { signal, bytes }).catch((error: unknown) => {
      if (error instanceof ProcessLostError) return {};
      throw error;
    });
  return {
    describe: async (bytes, options, signal) => (await look({ type: "describe", ...options }, bytes, signal)).vector,
    shrink: async (bytes, sideMax, signal) => (await look({ type: "shrink", sideMax }, bytes, signal)).png,
    close: () => processes.close(),
  };
}
