/** Waiting for something to become true in the control plane: by subscription, never by asking again. */
import type { ConvexClient } from "convex/browser";
import type { FunctionArgs, FunctionReference, FunctionReturnType } from "convex/server";
import { NikaError } from "../../convex/model/error.ts";

/** A restart of the appliance takes about a second; after this it is gone. */
const lostMs = 10_000;

export const interrupted = (): NikaError => new NikaError("cancelled", "Stopped at your request.");

/** Calls `onValue` with each new result of the query. Stop with the returned function. */
export type Watch = <Query extends FunctionReference<"query">>(
  query: Query,
  args: FunctionArgs<Query>,
  onValue: (value: FunctionReturnType<Query>) => void,
) => () => void;

/**
 * Runs `body` with a live connection; resolves when it calls `done`. Fails with `cancelled` when `signal` fires, with `unavailable` when the
 * appliance stays away, and with what a query throws. The connection is closed in every case.
 */
export async function withLive<T>(
  client: ConvexClient,
  signal: AbortSignal | undefined,
  body: (watch: Watch, done: (value: T) => void) => void,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  let lost: NodeJS.Timeout | undefined;
  const onConnection = (isConnected: boolean): void => {
    clearTimeout(lost);
    lost = isConnected
      ? undefined
      : setTimeout(
          () => reject(new NikaError("unavailable", "Nika stopped answering; see `nika status` and `nika doctor`.")),
          lostMs,
        );
  };
  const onAbort = (): void => reject(interrupted());
  signal?.addEventListener("abort", onAbort, { once: true });
  const ignore = client.subscribeToConnectionState((state) => onConnection(state.isWebSocketConnected));
  onConnection(client.connectionState().isWebSocketConnected);
  try {
    if (signal?.aborted) throw interrupted();
    const failing =
      <V>(onValue: (value: V) => void) =>
      (value: V): void => {
        try {
          onValue(value);
        } catch (error) {
          reject(error);
        }
      };
    body((query, args, onValue) => client.onUpdate(query, args, failing(onValue), reject), resolve);
    return await promise;
  } finally {
    ignore(); // Closing is a loss of connection too.
    clearTimeout(lost);
    signal?.removeEventListener("abort", onAbort);
    await client.close();
  }
}
