import type { InstallResult, InstallStep, InstallWish } from "../../convex/model/install.ts";
import type { RegistrySetting } from "../../convex/model/registry.ts";

/** MCP servers as something to be found and installed. */
export type Servers = {
  /**
   * Fetches, verifies, tries and declares one; nothing of it may be used before the owner approves it. Doing it again does what is left. Fails with
   * `denied` (it does not verify, or grave warnings were not answered), `invalid`, `conflict`, `missing`, `unavailable`, `cancelled`.
   */
  install(
    wish: InstallWish,
    told: { readonly signal: AbortSignal; readonly step: (step: InstallStep, note: string) => void },
  ): Promise<InstallResult>;
  /**
   * Copies what is new in a registry, from where the last copying ended. Fails with `unavailable`, `denied`, `cancelled`; `retryAfterOf` of what it
   * throws is how long the registry wants to be left alone.
   */
  copy(
    registry: RegistrySetting,
    told: { readonly signal: AbortSignal; readonly progress: (seen: number) => void },
  ): Promise<{ readonly servers: number }>;
  /** Of an error of `copy`, in ms; undefined when the registry did not say. */
  retryAfterOf(error: unknown): number | undefined;
  /** Throws away what was copied from registries that are not among these any more. */
  retain(registries: readonly RegistrySetting[]): void;
};
