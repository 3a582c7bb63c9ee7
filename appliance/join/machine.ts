/** What a rented machine that enrolled is given to do: it joins this appliance as a worker, with a secret that is its own. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { internal } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import type { Offer } from "../../convex/model/gpu.ts";
import type { State } from "../../functions/ports/state.ts";
import type { Workers } from "../../functions/ports/workers.ts";
import { hashOf, secretPrefix } from "./door.ts";

export type MachineWorkersOptions = {
  readonly state: State;
  /** Where this appliance is for programs on this machine, once it listens, and for others, if there is such an address. */
  readonly ownUrl: () => string;
  readonly publicUrl: string | undefined;
  /** Of the vault, when it is a service. */
  readonly vault: { readonly url: string; readonly apiKey?: string | undefined } | undefined;
};

export type WorkerOrder = { readonly command: readonly string[]; readonly environment: Readonly<Record<string, string>> };
export type MachineWorkers = Workers & {
  /** Fails with `denied` when the machine is not here to work. */
  order(machine: { readonly machineId: Id<"machines">; readonly offer: Offer }): Promise<WorkerOrder>;
};

const program = join(import.meta.dirname, "../cli/nika.ts");
const isHere = (url: string): boolean => ["localhost", "127.0.0.1", "[::1]"].includes(new URL(url).hostname);

export function machineWorkers({ state, ownUrl, publicUrl, vault }: MachineWorkersOptions): MachineWorkers {
  return {
    problem({ provider, form, image }) {
      if (provider === "local" && form === "host") return undefined;
      if (image === undefined)
        return "Machines elsewhere need an image with this version of Nika in it; name one with `nika scale set --image`.";
      if (form !== "container" && form !== "host")
        return "Nika does not install itself on bare machines yet; containers and machines of one's own can work.";
      if (publicUrl === undefined || isHere(publicUrl))
        return "Machines elsewhere cannot reach this appliance; set NIKA_PUBLIC_URL to an address that they can.";
      if (vault !== undefined && isHere(vault.url))
        return "Machines elsewhere cannot reach the vault; set NIKA_QDRANT_URL to an address that they can.";
      return undefined;
    },

    async order({ machineId, offer }) {
      const secret = `${secretPrefix}${randomBytes(32).toString("base64url")}`;
      await state.mutation(internal.scaling.admit, { machineId, hash: hashOf(secret) });
      const isLocal = offer.provider === "local" && offer.form === "host";
      const nika = isLocal ? [process.execPath, program] : ["nika"];
      const url = isLocal ? ownUrl() : (publicUrl ?? ownUrl());
      return {
        command: [...nika, "worker", "--join", url],
        environment: {
          NIKA_WORKER_TOKEN: secret,
          ...(vault && { NIKA_QDRANT_URL: vault.url, ...(vault.apiKey !== undefined && { NIKA_QDRANT_API_KEY: vault.apiKey }) }),
        },
      };
    },
  };
}
