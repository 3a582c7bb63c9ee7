/** How the owner signs in to a rented machine: where it is, as whom, and by which key. */
import { NikaError } from "../../../convex/model/error.ts";
import { parseMachineName } from "../../../convex/model/gpu.ts";
import { isOver, type MachineView } from "../../../convex/model/machine.ts";
import type { Providers } from "../../../functions/ports/gpu.ts";
import type { MachineKeys } from "./machineKeys.ts";
import { users } from "./ways.ts";

export type SignIn = {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** OpenSSH's format. */
  readonly privateKey: string;
  /** What it answers with, as in `known_hosts` behind the name; absent where the machine makes its own. */
  readonly hostKey?: string;
};

export type SigningIn = {
  readonly machines: readonly MachineView[];
  readonly providers: Pick<Providers, "open">;
  readonly keys: MachineKeys;
  readonly signal: AbortSignal;
};

/** `wanted`: a machine's name or id, or a part of its name that no other's has. */
export async function signInTo(wanted: string, { machines, providers, keys, signal }: SigningIn): Promise<SignIn> {
  const machine = findMachine(wanted, machines);
  const { name, provider, offer, ref, deadline, state } = machine;
  if (provider === "local") throw new NikaError("invalid", "It runs on this machine; there is nothing to sign in to.");
  if (provider === "ssh") throw new NikaError("invalid", `${offer.region} is a machine of yours; sign in as you always do.`);
  // A container's system lets in root; so far as its image has a server for that at all.
  const user = offer.form === "container" ? "root" : users[provider];
  if (offer.form === "managed" || user === undefined)
    throw new NikaError(
      "invalid",
      `${provider} runs ${name} by itself and lets nobody in; \`nika gpu logs\` shows what it says.`,
    );
  if (!ref || isOver(state)) throw new NikaError("unavailable", `${name} is not there to sign in to (${state}).`);
  const shown = await (await providers.open(provider)).describe(ref, signal);
  if (!shown?.address) throw new NikaError("unavailable", `${provider} shows no address of ${name} yet; try again in a minute.`);
  const { privateKey, host } = await keys.of(parseMachineName(name)?.machineId ?? name, deadline);
  const { host: address, sshPort: port } = shown.address;
  return { name, host: address, port, user, privateKey, ...(offer.form === "machine" && { hostKey: bare(host.publicKey) }) };
}

/** By its name or id, or a part of its name that no other's has. Fails with `missing`, or `invalid` when it is several. */
export function findMachine(wanted: string, machines: readonly MachineView[]): MachineView {
  const exact = machines.find(({ id, name }) => id === wanted || name === wanted);
  if (exact) return exact;
  const found = wanted === "" ? [] : machines.filter(({ name }) => name.includes(wanted));
  const [only] = found;
  if (!only) throw new NikaError("missing", `There is no machine "${wanted}"; \`nika gpu list\` shows which there are.`);
  if (found.length > 1)
    throw new NikaError("invalid", `"${wanted}" is part of several names: ${found.map(({ name }) => name).join(", ")}.`);
  return only;
}

const bare = (publicKey: string): string => publicKey.trim().split(/\s+/).slice(0, 2).join(" ");
