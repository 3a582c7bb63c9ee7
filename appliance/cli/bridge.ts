/** `nika bridge`: messages to remote agents, and what these report. */
import { createHash, randomBytes } from "node:crypto";
import { api } from "../../convex/_generated/api.js";
import { nameCharsMax, toTarget, type QueueStatus, type Verb } from "../../convex/model/bridge.ts";
import { NikaError } from "../../convex/model/error.ts";
import { instructionsOf, toTools } from "../bridge/tools.ts";
import { serveOverStdio } from "../mcp/server.ts";
import type { Client } from "./client.ts";
import { interrupted } from "./live.ts";
import type { Terminal } from "./terminal.ts";
import { countOf, oneLine, printable, spanOf, table, wrap } from "./text.ts";

type JsonOption = { readonly json: boolean };

/** A long wait and then some. */
const replyMs = 40_000;

async function ask<T>(client: Client, verb: string, body: object, signal?: AbortSignal): Promise<T> {
  const authorization = `Bearer ${await client.token()}`;
  const options = { authorization, body, timeoutMs: replyMs, ...(signal && { signal }) };
  return client.post<T>(`/api/bridge/${verb}`, options).catch((error: unknown) => {
    throw signal?.aborted === true ? interrupted() : error;
  });
}

type SendOptions = JsonOption & { readonly target: string; readonly text: string; readonly isUrgent: true | undefined };
type SentReply = { readonly queued: boolean; readonly id: string; readonly target: string };

export async function runSend(terminal: Terminal, client: Client, { target, text, isUrgent, json }: SendOptions): Promise<void> {
  const sent = await ask<SentReply>(client, "send", { target, message: text, ...(isUrgent && { urgent: true }) });
  if (json) return terminal.json(sent);
  terminal.line(sent.queued ? `Queued for ${sent.target}: ${sent.id}` : `${sent.target} has this already: ${sent.id}`);
}

type UpdateReply = {
  readonly message_id: string | null;
  readonly content: string;
  readonly created_at: string;
  readonly target: string;
  readonly seq: number;
  readonly type: string;
};
type PullReply = { readonly updates: readonly UpdateReply[]; readonly cursor: string; readonly more: boolean };
type PullOptions = JsonOption & {
  readonly target: string | undefined;
  readonly since: string | undefined;
  readonly as: string;
  readonly wait: number | undefined;
  readonly isFollowing: boolean;
  readonly signal: AbortSignal;
};

export async function runPull(terminal: Terminal, client: Client, options: PullOptions): Promise<void> {
  const { target, since, as, wait, isFollowing, json, signal } = options;
  const pull = (more: object): Promise<PullReply> =>
    ask(client, "pull", { as, ...(target !== undefined && { target }), ...more }, signal);
  const first = await pull({ ...(since !== undefined && { since }), ...(wait !== undefined && { wait }) });
  const show = ({ updates }: PullReply): void => {
    if (isFollowing && json) for (const update of updates) terminal.line(JSON.stringify(update));
    else for (const update of updates) for (const line of updateLines(update, terminal)) terminal.line(line);
  };
  if (!isFollowing && json) return terminal.json(first);
  show(first);
  if (!isFollowing && first.updates.length === 0) terminal.line("Nothing new.");
  if (!isFollowing && first.more) terminal.line("There is more; pull again.");
  if (!isFollowing) return;
  let { cursor } = first;
  // Ends with the signal, which makes the wait fail.
  for (;;) {
    const next = await pull({ cursor, wait: 25 });
    ({ cursor } = next);
    show(next);
  }
}

function updateLines(
  { target, content, created_at: at, type }: UpdateReply,
  terminal: Pick<Terminal, "width" | "style">,
): string[] {
  const mark = type === "complete" ? terminal.style("green", "✓") : type === "error" ? terminal.style("red", "✗") : "·";
  const head = `${terminal.style("bold", oneLine(target))} ${mark} ${terminal.style("dim", new Date(at).toLocaleString())}`;
  return [head, ...wrap(printable(content), terminal.width - 2).map((line) => `  ${line}`.trimEnd())];
}

export async function runBridgeStatus(
  terminal: Terminal,
  client: Client,
  { target, json }: JsonOption & { readonly target: string | undefined },
): Promise<void> {
  const status = await ask<QueueStatus>(client, "status", target === undefined ? {} : { target });
  if (json) return terminal.json(status);
  terminal.line(`${status.pending} waiting · ${status.in_progress} in progress · ${countOf(status.total_updates, "update")}`);
  if (status.current_task !== null)
    for (const line of wrap(oneLine(status.current_task), terminal.width - 2)) terminal.line(`  ${line}`);
}

export async function runTargets(terminal: Terminal, client: Client, { json }: JsonOption): Promise<void> {
  const targets = await (await client.http()).query(api.bridge.targets, {});
  if (json) return terminal.json(targets);
  if (targets.length === 0) return terminal.line("There is no target yet; `nika bridge targets add NAME` makes one.");
  const rows = targets.map(({ name, counts, updates, heardAt, currentTask = "" }) => [
    name,
    `${counts.pending} waiting`,
    `${counts.acknowledged + counts.in_progress} taken on`,
    countOf(updates, "update"),
    heardAt === undefined ? "never heard of" : `heard ${spanOf(Date.now() - heardAt)} ago`,
    oneLine(currentTask),
  ]);
  for (const line of table(rows, { width: terminal.width, give: [5, 0] })) terminal.line(line);
}

type TargetOptions = JsonOption & { readonly verb: "add" | "remove"; readonly name: string };

export async function runTarget(terminal: Terminal, client: Client, { verb, name: raw, json }: TargetOptions): Promise<void> {
  const name = toTarget(raw);
  const http = await client.http();
  if (verb === "add") await http.mutation(api.bridge.addTarget, { name });
  else await http.mutation(api.bridge.removeTarget, { name });
  if (json) return terminal.json({ name });
  terminal.line(verb === "add" ? `${name} takes messages now.` : `${name} is gone, with all that was said to it and by it.`);
}

type TokenOptions = JsonOption & { readonly name: string; readonly target: string | undefined; readonly isAgent: boolean };

/** The secret is made here and shown once; the control plane gets only its hash. */
export async function runToken(terminal: Terminal, client: Client, { name, target, isAgent, json }: TokenOptions): Promise<void> {
  if (name.length > nameCharsMax) throw new NikaError("invalid", `A token's name has at most ${nameCharsMax} characters.`);
  const token = `nkb_${randomBytes(32).toString("base64url")}`;
  const role = isAgent ? ("agent" as const) : ("client" as const);
  const hash = createHash("sha256").update(token).digest("hex");
  await (await client.http()).mutation(api.bridgeTokens.add, { name, role, hash, ...(target !== undefined && { target }) });
  const url = `${client.run.url}/mcp/bridge`;
  if (json) return terminal.json({ name, role, token, url });
  terminal.line(token);
  terminal.note(`This is shown once. ${isAgent ? "The agent" : "Its holder"} connects to ${url} with it as a bearer token.`);
}

export async function runTokens(terminal: Terminal, client: Client, { json }: JsonOption): Promise<void> {
  const tokens = await (await client.http()).query(api.bridgeTokens.list, {});
  if (json) return terminal.json(tokens);
  if (tokens.length === 0) return terminal.line("There is no token; `nika bridge token NAME` makes one.");
  const rows = tokens.map(({ name, role, target = "all targets", createdAt }) => [
    oneLine(name),
    role,
    target,
    `${spanOf(Date.now() - createdAt)} old`,
  ]);
  for (const line of table(rows, { width: terminal.width, give: [0] })) terminal.line(line);
}

export async function runRevoke(
  terminal: Terminal,
  client: Client,
  { name, json }: JsonOption & { readonly name: string },
): Promise<void> {
  await (await client.http()).mutation(api.bridgeTokens.revoke, { name });
  if (json) return terminal.json({ name });
  terminal.line(`${oneLine(name)} opens nothing any more.`);
}

type MessageReply = {
  readonly id: string;
  readonly message: string;
  readonly state: string;
  readonly urgent: boolean;
  readonly from: string;
};
type NextReply = { readonly message: MessageReply | null; readonly open: readonly MessageReply[] };
type NextOptions = JsonOption & {
  readonly target: string;
  readonly wait: number | undefined;
  readonly isUrgentOnly: boolean;
  readonly signal: AbortSignal;
};

export async function runNext(terminal: Terminal, client: Client, options: NextOptions): Promise<void> {
  const { target, wait, isUrgentOnly, json, signal } = options;
  const body = { target, ...(wait !== undefined && { wait }), ...(isUrgentOnly && { urgent_only: true }) };
  const next = await ask<NextReply>(client, "next", body, signal);
  if (json) return terminal.json(next);
  const lines = ({ id, message, state, urgent, from }: MessageReply): string[] => [
    `${terminal.style("bold", id)} ${urgent ? "URGENT " : ""}${state}, from ${oneLine(from)}`,
    ...wrap(printable(message), terminal.width - 2).map((line) => `  ${line}`.trimEnd()),
  ];
  for (const one of next.message ? [next.message, ...next.open] : next.open) for (const line of lines(one)) terminal.line(line);
  if (!next.message) terminal.line("Nothing waits.");
}

type SayOptions = JsonOption & { readonly verb: Verb; readonly id: string; readonly text: string };
type SaidReply = { readonly state: string | null; readonly urgent: number };

export async function runSay(terminal: Terminal, client: Client, { verb, id, text, json }: SayOptions): Promise<void> {
  const said = await ask<SaidReply>(client, verb, { id, ...(text !== "" && { content: text }) });
  if (json) return terminal.json(said);
  terminal.line(`${id}: ${said.state ?? "said"}${said.urgent > 0 ? ` · ${countOf(said.urgent, "urgent message")} waiting` : ""}`);
}

type ServeOptions = { readonly agent: string | undefined; readonly as: string; readonly signal: AbortSignal };

/** Standard output belongs to the protocol; what goes wrong is told on standard error. */
export async function runServe(client: Client, { agent, as, signal }: ServeOptions): Promise<void> {
  const role = agent === undefined ? ("client" as const) : ("agent" as const);
  const target = agent === undefined ? undefined : toTarget(agent);
  const tools = toTools(role, (verb, args, gone) =>
    ask(client, verb, { ...args, ...(target !== undefined && { target }), ...(verb === "pull" && { as }) }, gone),
  );
  const served = { name: "nika-bridge", version: client.run.version, instructions: instructionsOf(role), tools };
  const log = (line: string): void => void process.stderr.write(`${line}\n`);
  await serveOverStdio({ ...served, log }, { stdin: process.stdin, stdout: process.stdout }, signal);
}
