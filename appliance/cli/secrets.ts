/** `nika secrets`: what Nika keeps under lock. Values come from a prompt, a pipe or a file, and never come back. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { SecretInfo } from "../../functions/ports/secrets.ts";
import type { Client } from "./client.ts";
import { readHidden } from "./hidden.ts";
import type { Terminal } from "./terminal.ts";
import { countOf, oneLine, table, wrap } from "./text.ts";

type JsonOption = { readonly json: boolean };
type ValueOptions = JsonOption & { readonly file: string | undefined; readonly signal: AbortSignal };
type Recovery = { readonly recipient: string; readonly identity?: string };
type AuditLine = { readonly at: string; readonly action: string; readonly name?: string; readonly by: string };

/** Encrypting everything again takes a few milliseconds for each. */
const rekeyMs = 10 * 60_000;

export async function runSecretList(terminal: Terminal, client: Client, { json }: JsonOption): Promise<void> {
  const { secrets } = await client.get<{ secrets: readonly SecretInfo[] }>("/nika/secrets", asAdmin(client));
  if (json) return terminal.json(secrets);
  if (secrets.length === 0) return terminal.line("There are no secrets; `nika secrets set NAME` keeps one.");
  const rows = secrets.map(({ name, setAt }) => [name, new Date(setAt).toISOString().slice(0, 16).replace("T", " ")]);
  for (const line of table(rows, { width: terminal.width, give: [0] })) terminal.line(line);
  const recovery = await client.get<Recovery>("/nika/secrets/recovery", asAdmin(client));
  if (recovery.identity !== undefined) say(terminal, notKept);
}

const notKept =
  "Without its recovery key nobody can read these if this machine's keys are lost. `nika secrets recovery` shows it: keep it elsewhere.";

export async function runSecretSet(
  terminal: Terminal,
  client: Client,
  name: string,
  { file, json, signal }: ValueOptions,
): Promise<void> {
  const value = await readHidden(`The value of ${oneLine(name)}`, { file, signal });
  await client.post("/nika/secrets", { ...asAdmin(client), body: { name, value } });
  const recovery = await client.get<Recovery>("/nika/secrets/recovery", asAdmin(client));
  if (json) return terminal.json({ name, isRecoveryKept: recovery.identity === undefined });
  terminal.line(`${name} is kept, encrypted.`);
  if (recovery.identity !== undefined) say(terminal, notKept);
}

export async function runSecretRemove(terminal: Terminal, client: Client, name: string, { json }: JsonOption): Promise<void> {
  await client.send("DELETE", "/nika/secrets", { ...asAdmin(client), body: { name } });
  if (json) return terminal.json({ name });
  terminal.line(`${oneLine(name)} is forgotten.`);
}

export async function runRecovery(
  terminal: Terminal,
  client: Client,
  { action, json }: JsonOption & { readonly action: "show" | "kept" | "renew" },
): Promise<void> {
  const recovery =
    action === "show"
      ? await client.get<Recovery>("/nika/secrets/recovery", asAdmin(client))
      : await client.post<Recovery>("/nika/secrets/recovery", { ...asAdmin(client), body: { action }, timeoutMs: rekeyMs });
  if (json) return terminal.json(recovery);
  if (recovery.identity === undefined) {
    say(terminal, `The recovery key is with you, and nowhere on this machine. Its public half: ${recovery.recipient}`);
    return say(terminal, "Lost it? `nika secrets recovery --renew` makes another.");
  }
  say(terminal, "The recovery key. Whoever has it and the folder DATA/secrets can read every secret, so keep it away from both:");
  terminal.line("");
  terminal.line(`  ${recovery.identity}`);
  terminal.line("");
  say(terminal, "When it is written down: `nika secrets recovery --kept` erases it here.");
}

export async function runRekey(terminal: Terminal, client: Client, { json }: JsonOption): Promise<void> {
  const { count } = await client.post<{ count: number }>("/nika/secrets/rekey", { ...asAdmin(client), timeoutMs: rekeyMs });
  if (json) return terminal.json({ count });
  terminal.line(`A new key; ${countOf(count, "secret")} encrypted again. The old key stays beside it, for backups.`);
}

export async function runRecover(terminal: Terminal, client: Client, { file, json, signal }: ValueOptions): Promise<void> {
  const identity = await readHidden("The recovery key", { file, signal });
  const { count } = await client.post<{ count: number }>("/nika/secrets/recover", {
    ...asAdmin(client),
    body: { identity },
    timeoutMs: rekeyMs,
  });
  if (json) return terminal.json({ count });
  terminal.line(`${countOf(count, "secret")} can be read on this machine again.`);
}

/** Read from the file: who may run this may read it, and it works while Nika is stopped. */
export function runAudit(terminal: Terminal, dataDir: string, { json, limit }: JsonOption & { readonly limit: number }): void {
  const lines = auditLines(join(dataDir, "secrets", "audit.jsonl")).slice(-limit);
  if (json) return terminal.json(lines);
  if (lines.length === 0) return terminal.line("Nothing was read or changed yet.");
  const rows = lines.map(({ at, action, name, by }) => [at.slice(0, 19).replace("T", " "), action, name ?? "", oneLine(by)]);
  for (const line of table(rows, { width: terminal.width, give: [3, 2] })) terminal.line(line);
}

function auditLines(path: string): AuditLine[] {
  let text = "";
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return [];
  }
  return text
    .split("\n")
    .filter((line) => line.endsWith("}"))
    .map((line) => JSON.parse(line) as AuditLine);
}

const asAdmin = (client: Client): { authorization: string } => ({ authorization: client.adminAuthorization });

function say(terminal: Terminal, text: string): void {
  for (const line of wrap(text, terminal.width)) terminal.line(line);
}
