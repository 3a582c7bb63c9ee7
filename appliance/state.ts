/** The control plane, reached with the appliance's own authority. Container or embedded engine: the client cannot tell. */
import { ConvexClient } from "convex/browser";
import type { State } from "../functions/ports/state.ts";

export type OpenState = State & { close(): Promise<void> };

/** Connects in the background; calls made before that wait. `adminKey` lets it reach internal functions. */
export function openState(options: { readonly url: string; readonly adminKey: string }): OpenState {
  const client = new ConvexClient(options.url, { unsavedChangesWarning: false, logger: false });
  // Public in the code, left out of the published types.
  (client as unknown as { setAdminAuth(key: string): void }).setAdminAuth(options.adminKey);
  // The client's types know public functions only; with an admin key it may call internal ones as well.
  const open = client as unknown as {
    query(f: unknown, args: unknown): Promise<never>;
    mutation(f: unknown, args: unknown): Promise<never>;
    onUpdate(f: unknown, args: unknown, onResult: unknown, onError: unknown): () => void;
  };
  return {
    query: (f, args) => open.query(f, args),
    mutation: (f, args) => open.mutation(f, args),
    watch: (f, args, onResult, onError) => open.onUpdate(f, args, onResult, onError),
    close: () => client.close(),
  };
}
