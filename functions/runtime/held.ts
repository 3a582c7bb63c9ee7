/** Why a run is told to stop. `lost`: the lease is somebody else's, so nothing of it may be recorded; `timeout`: it ran too long. */
export type StopReason = "lost" | "cancelled" | "timeout" | "stopping";

/** One job this worker holds a lease on. */
export type Held = {
  readonly jobId: string;
  readonly token: string;
  readonly signal: AbortSignal;
  /** The first reason stands, except that `lost` outranks what came before. */
  readonly stop: (reason: StopReason) => void;
  readonly reason: () => StopReason | undefined;
};

export function hold(jobId: string, token: string): Held {
  const controller = new AbortController();
  let given: StopReason | undefined;
  return {
    jobId,
    token,
    signal: controller.signal,
    stop(reason) {
      if (given === undefined || reason === "lost") given = reason;
      controller.abort(new DOMException(`The job was stopped: ${given}.`, "AbortError"));
    },
    reason: () => given,
  };
}
