/** What a rented machine that enrolled is given to do: it joins this appliance as a worker, with a secret that is its own. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { internal } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import { isNikaError } from "../../convex/model/error.ts";
import type { Form, Offer, ProviderId } from "../../convex/model/gpu.ts";
import type { State } from "../../functions/ports/state.ts";
import type { Workers } from "../../functions/ports/workers.ts";
import { hashOf, secretPrefix } from "./door.ts";
import { archiveName } from "./parcel.ts";

type Place = { readonly provider: ProviderId; readonly form: Form };
export type MachineWorkersOptions = {
  readonly state: State;
  /** Where this appliance is for programs on this machine, once it listens. */
  readonly ownUrl: () => string;
  /** Of the vault, as this machine reaches it. */
  readonly vault: { readonly url: string; readonly apiKey?: string | undefined };
  /** Where a Convex of the owner's own says that others find it; undefined where the state is kept by the appliance itself. */
  readonly convexUrl?: string | undefined;
  /** Where appliance and vault are for programs there; undefined when they cannot be reached from there. */
  readonly reach: (place: Place) => { readonly url: string; readonly vaultUrl: string } | undefined;
  /** Packs Nika itself for machines that have nothing, once; the parcel's name. */
  readonly parcel: () => Promise<string>;
};

export type WorkerOrder = {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Files that it needs. */
  readonly parcel?: string;
};
export type MachineWorkers = Workers & {
  /** Fails with `denied` when the machine is not here to work. */
  order(machine: { readonly machineId: Id<"machines">; readonly offer: Offer }): Promise<WorkerOrder>;
};

const program = join(import.meta.dirname, "../cli/nika.ts");
const isHere = (url: string): boolean => ["localhost", "127.0.0.1", "[::1]"].includes(new URL(url).hostname);
/** Of the processor that all vendors' machines have that are offered; what is packed here holds machine code. */
const rentedMake = "x64";

/**
 * Unpacks Nika beside the agent and becomes its worker. The agent's Node lies two folders up (gpu/agent/boot.ts). Nika starts further processes by
 * its path, and with nothing of the surroundings, so it has to run without the loader that came with it: by the system's own. A rented machine that
 * has no libraries of C++ is given ours; one of the owner's is left as it is.
 */
const startScript = `set -e
F=$(cd ../.. && pwd)
N=$F/node
if [ "$2" = rented ] && ! "$N" -v >/dev/null 2>&1; then
  D=$(sed -n 's|^.* \\(/[^ ]*\\)/libc[.-][^/]*$|\\1|p' /proc/self/maps | head -n 1)
  for l in "$F"/lib/libstdc++.so.* "$F"/lib/libgcc_s.so.* "$F"/lib/libatomic.so.*; do
    if [ -e "$l" ] && [ ! -e "$D/\${l##*/}" ]; then cp "$l" "$D/"; fi
  done
fi
"$N" -v >/dev/null || { echo "The libraries of this system do not run Nika's Node; choose a newer system."; exit 1; }
mkdir -p nika
"$N" -e 'process.stdin.pipe(require("node:zlib").createZstdDecompress()).pipe(process.stdout)' < ${archiveName} | tar -xf - -C nika
rm -f ${archiveName}
exec "$N" nika/appliance/cli/nika.ts worker --join "$1"`;

export function machineWorkers({ state, ownUrl, vault, convexUrl, reach, parcel }: MachineWorkersOptions): MachineWorkers {
  /** Undefined while it is made. */
  let packed: { readonly problem?: string } | undefined;
  let packing: Promise<unknown> | undefined;
  const pack = (): void => {
    packing ??= parcel().then(
      () => (packed = {}),
      (error: unknown) => {
        packed = {
          problem: isNikaError(error) ? error.message : "Nika could not be packed for machines elsewhere; see its log.",
        };
        // Tried again by the next who looks.
        packing = undefined;
      },
    );
  };
  const isOwn = ({ provider, form }: Place): boolean => provider === "local" && form === "host";
  const isBare = ({ provider, form }: Place): boolean => form === "machine" || provider === "ssh";

  return {
    problem({ provider, form, image }) {
      const place = { provider, form };
      if (isOwn(place)) return undefined;
      if (form === "managed") return "What runs one job to its end cannot be a worker; machines and containers can.";
      if (convexUrl !== undefined && isHere(convexUrl))
        return "Machines elsewhere cannot reach your Convex, which is at this machine's own loopback; set NIKA_CONVEX_PUBLIC_URL to an address of it that they can.";
      if (!isBare(place) && image === undefined)
        return "Containers elsewhere need an image with this version of Nika in it; name one with `nika scale set --image`.";
      if (form === "machine" && process.arch !== rentedMake)
        return `Rented machines are ${rentedMake}, and this one is ${process.arch}: what Nika would send there cannot run.`;
      const there = reach(place);
      if (there === undefined || (!isBare(place) && isHere(there.url)))
        return "Containers elsewhere cannot reach this appliance; set NIKA_PUBLIC_URL to an address that they can.";
      if (!isBare(place) && isHere(there.vaultUrl))
        return "Containers elsewhere cannot reach the vault; set NIKA_QDRANT_URL to an address that they can.";
      if (!isBare(place)) return undefined;
      // Before a machine is paid for: packing takes longer than who waits at the door would.
      pack();
      return packed ? packed.problem : "Nika is being packed for machines elsewhere; they are asked for when that is done.";
    },

    async order({ machineId, offer }) {
      const secret = `${secretPrefix}${randomBytes(32).toString("base64url")}`;
      const own = { url: ownUrl(), vaultUrl: vault.url };
      const { url, vaultUrl } = isOwn(offer) ? own : (reach(offer) ?? own);
      const files = isBare(offer) ? await parcel() : undefined;
      await state.mutation(internal.scaling.admit, { machineId, hash: hashOf(secret) });
      const environment = {
        NIKA_WORKER_TOKEN: secret,
        NIKA_QDRANT_URL: vaultUrl,
        ...(vault.apiKey !== undefined && { NIKA_QDRANT_API_KEY: vault.apiKey }),
      };
      if (files !== undefined)
        return {
          command: ["/bin/sh", "-c", startScript, "nika", url, offer.provider === "ssh" ? "own" : "rented"],
          // All that it keeps goes with its folder.
          environment: { ...environment, NIKA_DATA: "data" },
          parcel: files,
        };
      const nika = isOwn(offer) ? [process.execPath, program] : ["nika"];
      return { command: [...nika, "worker", "--join", url], environment };
    },
  };
}
