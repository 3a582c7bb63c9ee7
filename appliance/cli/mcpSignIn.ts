/** `nika mcp login`, `logout` and `clients`: Nika's sign-ins at servers elsewhere, and those of programs elsewhere at Nika. */
import { createInterface } from "node:readline";
import type { GrantedClient } from "../mcp/auth/grantFile.ts";
import { NikaError } from "../../convex/model/error.ts";
import type { Client } from "./client.ts";
import { interrupted } from "./live.ts";
import type { Terminal } from "./terminal.ts";
import { oneLine, spanOf, table } from "./text.ts";

type JsonOption = { readonly json: boolean };
type NameOption = JsonOption & { readonly name: string };

/** As long as a sign-in may take. */
const signInMs = 10 * 60_000;

async function ask<T>(client: Client, verb: string, body: object, signal?: AbortSignal): Promise<T> {
  const authorization = `Bearer ${await client.token()}`;
  return client.post<T>(`/nika/mcp/${verb}`, { authorization, body, timeoutMs: signInMs, ...(signal && { signal }) });
}

/** Prints where to go, and waits until the browser came back or its address was pasted. */
export async function runLogin(
  terminal: Terminal,
  client: Client,
  { name, json, signal }: NameOption & { readonly signal: AbortSignal },
): Promise<void> {
  const { url } = await ask<{ url: string }>(client, "login", { name });
  if (json) return terminal.json({ name, url });
  terminal.line(url);
  terminal.note(
    "Open this in a browser and sign in there. A browser on another machine ends at an address that does not load: paste that address here.",
  );
  const done = new AbortController();
  const stop = AbortSignal.any([signal, done.signal]);
  const pasted = createInterface({ input: process.stdin });
  try {
    const returned = ask<{ name: string }>(client, "awaited", { name }, stop);
    const brought = (async (): Promise<{ name: string }> => {
      for await (const line of pasted) {
        if (!/[?&](?:code|error)=/.test(line)) continue;
        return ask<{ name: string }>(client, "finish", { url: line.trim() }, stop);
      }
      // Nobody pastes anything: the browser comes back by itself.
      return returned;
    })();
    brought.catch(() => undefined);
    const ended = await Promise.race([returned, brought]).catch((error: unknown) => {
      throw signal.aborted ? interrupted() : error;
    });
    if (ended.name !== name) throw new NikaError("invalid", `That was the sign-in of ${ended.name}.`);
    terminal.line(`Signed in to ${name}.`);
  } finally {
    done.abort();
    pasted.close();
    process.stdin.unref();
  }
}

export async function runLogout(terminal: Terminal, client: Client, { name, json }: NameOption): Promise<void> {
  await ask(client, "logout", { name });
  if (json) return terminal.json({ name });
  terminal.line(`Nika is signed out of ${name}; what it was given is forgotten.`);
}

export async function runClients(terminal: Terminal, client: Client, { json }: JsonOption): Promise<void> {
  const { clients } = await ask<{ clients: GrantedClient[] }>(client, "clients", {});
  if (json) return terminal.json(clients);
  if (clients.length === 0)
    return terminal.line(`No program has signed in; one that connects to ${client.run.url}/mcp asks you in your browser.`);
  const rows = clients.map((one) => [
    one.id,
    oneLine(one.name),
    oneLine(one.redirects.map((to) => URL.parse(to)?.host ?? to).join(", ")),
    `used ${spanOf(Date.now() - one.usedAt)} ago`,
  ]);
  for (const line of table(rows, { width: terminal.width, give: [1, 2] })) terminal.line(line);
}

export async function runClientRevoke(
  terminal: Terminal,
  client: Client,
  { id, json }: JsonOption & { readonly id: string },
): Promise<void> {
  await ask(client, "revoke", { id });
  if (json) return terminal.json({ id });
  terminal.line("It is signed out: nothing it holds opens anything any more.");
}
