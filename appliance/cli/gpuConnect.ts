/** `nika gpu connect`: a provider set up, what is free to look at looked at, and, with consent, proven. */
import { readFile } from "node:fs/promises";
import { NikaError } from "../../convex/model/error.ts";
import type { AccountCheck } from "../../convex/model/gpu.ts";
import type { Client } from "./client.ts";
import { canAsk, confirmed } from "./confirm.ts";
import type { QuoteView } from "../../convex/model/gpuJob.ts";
import { findingsExit } from "./exit.ts";
import { hardwareOf, moneyOf } from "./gpu.ts";
import type { ConnectFlags, HostFlags } from "./gpuFlags.ts";
import { readHidden } from "./hidden.ts";
import type { Terminal } from "./terminal.ts";
import { oneLine, table } from "./text.ts";

type Options = {
  readonly provider: string | undefined;
  readonly flags: ConnectFlags;
  readonly json: boolean;
  readonly signal: AbortSignal;
};
type Wanted = {
  readonly id: string;
  readonly isSetUp: boolean;
  readonly isReached: boolean;
  readonly wants: readonly string[];
};
/** The owner's mesh, by which rented machines reach Nika. */
type MeshState = { readonly isSetUp: boolean; readonly address?: string; readonly wants: readonly string[] };
type Listed = { readonly providers: readonly Wanted[]; readonly mesh: MeshState };

/** Why nothing is rented, whatever is asked for; undefined when something may be. */
export async function whyNothingIsRented(client: Client): Promise<string | undefined> {
  const authorization = `Bearer ${await client.token()}`;
  const { providers } = await client.post<Listed>("/nika/gpu/providers", { authorization, body: {} });
  const renting = providers.filter(({ isSetUp, wants }) => isSetUp && wants.length > 0);
  if (renting.length === 0)
    return "No provider that rents is set up, so nothing can be rented; `nika gpu connect` says which there are.";
  if (!renting.some(({ isReached }) => isReached))
    return "Rented containers have to reach Nika, so nothing can be rented before it is started with NIKA_PUBLIC_URL.";
  return undefined;
}

const waitMs = 30 * 60_000;

/** The exit code: 1 when something that was looked at, or the proof, did not pass. */
export async function runGpuConnect(
  terminal: Terminal,
  client: Client,
  { provider, flags, json, signal }: Options,
): Promise<number> {
  const authorization = `Bearer ${await client.token()}`;
  const ask = async <T>(name: string, body: object): Promise<T> =>
    client.post<T>(`/nika/gpu/${name}`, { authorization, body, timeoutMs: waitMs, signal });
  const { providers, mesh } = await ask<Listed>("providers", {});
  if (provider === undefined) {
    if (json) {
      terminal.json({ providers, mesh });
      return 0;
    }
    const rows = providers.map(({ id, isSetUp, isReached, wants }) => [
      id,
      !isSetUp ? "not set up" : isReached ? "ready" : "waits for NIKA_PUBLIC_URL",
      wants.join(", "),
    ]);
    rows.push(["tailscale", mesh.isSetUp ? `Nika is ${mesh.address ?? ""}` : "not set up", mesh.wants.join(", ")]);
    for (const line of table(rows, { width: terminal.width, give: [2] })) terminal.line(line);
    terminal.line("");
    terminal.line(
      "`nika gpu connect NAME` sets one up and asks for its fields; those with ? may be left out. docs/gpuProviders.md says where they come from.",
    );
    return 0;
  }
  if (provider === "tailscale") return connectMesh(terminal, { mesh, ask, flags, json, signal });
  const found = providers.find(({ id }) => id === provider);
  if (!found) {
    const names = providers.map(({ id }) => id).join(", ");
    throw new NikaError("invalid", `"${provider}" is no provider; there are ${names}, and tailscale for the way between.`);
  }
  if (flags.forget) {
    await ask("disconnect", { provider });
    terminal.line(`${provider} is forgotten.`);
    return 0;
  }
  const credentials = await readCredentials(terminal, found, { flags, signal });
  const { checks } = await ask<Checked>("connect", { provider, credentials });
  const isFine = checks.every(({ passed }) => passed);
  const code = isFine ? 0 : findingsExit;
  if (json && !flags.prove) {
    terminal.json({ checks });
    return code;
  }
  tellChecks(terminal, checks);
  if (!flags.prove) {
    if (found.wants.length > 0 && !isFine)
      terminal.line(`Kept. Once that is put right there, \`nika gpu connect ${provider}\` looks again.`);
    return code;
  }
  if (!isFine) throw new NikaError("conflict", "What is free to look at did not pass, so nothing is spent.");
  const quote = await ask<QuoteView>("quoteProof", { provider });
  terminal.line(
    `The proof rents ${quote.offer.type} (${hardwareOf(quote.offer)}) at ${moneyOf(quote.offer.hourly)} an hour for some minutes; at most ${moneyOf(quote.atMost)}.`,
  );
  const question = {
    text: "Rent it, to see that it works and ends itself?",
    otherwise: "Say --yes to have it proven.",
    signal,
  };
  if (!flags.yes && !(await confirmed(terminal, question))) return 0;
  const { passed, facts } = await ask<{ passed: boolean; facts: readonly string[] }>("prove", { quoteId: quote.id });
  if (json) terminal.json({ passed, facts });
  else {
    for (const fact of facts) terminal.line(oneLine(fact));
    terminal.line(passed ? "Proven." : "Not proven.");
  }
  return passed ? 0 : findingsExit;
}

type Checked = { readonly checks: readonly AccountCheck[] };
function tellChecks(terminal: Terminal, checks: Checked["checks"]): void {
  for (const { name, passed, says } of checks) terminal.line(`${passed ? "ok  " : "no  "} ${name}: ${oneLine(says)}`);
}

type MeshWish = Omit<Options, "provider"> & {
  readonly mesh: MeshState;
  readonly ask: <T>(name: string, body: object) => Promise<T>;
};

/** `nika gpu connect tailscale`: rents nothing; machines that are rented join it, each by a key of its own. */
async function connectMesh(terminal: Terminal, { mesh, ask, flags, json, signal }: MeshWish): Promise<number> {
  if (flags.prove) throw new NikaError("invalid", "There is nothing to prove about tailscale; it rents nothing.");
  if (flags.forget) {
    await ask("disconnectMesh", {});
    terminal.line("tailscale is forgotten.");
    return 0;
  }
  const credentials = await readCredentials(terminal, { ...mesh, id: "tailscale", isReached: true }, { flags, signal });
  const { checks } = await ask<Checked>("connectMesh", { credentials });
  if (json) terminal.json({ checks });
  else tellChecks(terminal, checks);
  return checks.every(({ passed }) => passed) ? 0 : findingsExit;
}

async function readCredentials(
  terminal: Terminal,
  { id, isSetUp, wants }: Wanted,
  { flags, signal }: { readonly flags: ConnectFlags; readonly signal: AbortSignal },
): Promise<Record<string, string>> {
  if (flags.credentialsFile !== undefined) return parsed(await readFile(flags.credentialsFile, "utf8"));
  if (wants.length === 0 || isSetUp) return {};
  if (!canAsk(terminal)) return parsed(await readHidden(`Credentials of ${id}`, { file: undefined, signal }));
  const given: Record<string, string> = {};
  for (const want of wants) {
    const name = want.replace("?", "");
    const value = await readHidden(want.endsWith("?") ? `${name}, or nothing` : name, { file: undefined, signal });
    if (value !== "") given[name] = value;
  }
  return given;
}

function parsed(text: string): Record<string, string> {
  try {
    return JSON.parse(text) as Record<string, string>;
  } catch {
    throw new NikaError("invalid", "Credentials are one JSON object.");
  }
}

type Added = { readonly publicKey: string; readonly fingerprint?: string; readonly says: string; readonly isAdded: boolean };
type HostOptions = { readonly address: string; readonly flags: HostFlags; readonly signal: AbortSignal };

/** `nika gpu add-host`: shows the key to let in, then the key that answers, and keeps the machine once both are agreed to. */
export async function runGpuAddHost(terminal: Terminal, client: Client, { address, flags, signal }: HostOptions): Promise<void> {
  const authorization = `Bearer ${await client.token()}`;
  const { name, slots } = flags;
  const ask = async (fingerprint?: string): Promise<Added> =>
    client.post<Added>("/nika/gpu/addHost", {
      authorization,
      body: { address, name, slots, fingerprint },
      timeoutMs: waitMs,
      signal,
    });
  const seen = await ask();
  if (seen.fingerprint === undefined) {
    terminal.line(oneLine(seen.says));
    terminal.line("Let this key in there, as a line of ~/.ssh/authorized_keys, and say it again:");
    return terminal.line(seen.publicKey);
  }
  terminal.line(`${address} answers with the key SHA256:${seen.fingerprint}. ${oneLine(seen.says)}.`);
  const question = { text: "Is that the machine you mean?", otherwise: "Say --yes to agree to its key.", signal };
  if (!flags.yes && !(await confirmed(terminal, question))) return;
  const { isAdded, says } = await ask(seen.fingerprint);
  terminal.line(isAdded ? `${name ?? address} is added: \`nika gpu run FOLDER COMMAND --on ssh\`.` : oneLine(says));
}
