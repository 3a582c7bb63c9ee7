/** `nika mcp`: the owner's MCP servers, what they offer, and what was called. */
import { createHash, randomBytes } from "node:crypto";
import { request as httpRequest } from "node:http";
import { pipeline } from "node:stream/promises";
import { api } from "../../convex/_generated/api.js";
import { NikaError } from "../../convex/model/error.ts";
import { seenOf, seenText, toolsShownMax, type Seen, type ServerFacts, type ToolView } from "../../convex/model/serverView.ts";
import type { Client } from "./client.ts";
import { confirmed } from "./confirm.ts";
import { askMcp } from "./mcpClient.ts";
import type { Terminal } from "./terminal.ts";
import { countOf, oneLine, printable, sizeOf, spanOf, table, wrap } from "./text.ts";

type JsonOption = { readonly json: boolean };

export async function runServers(terminal: Terminal, client: Client, { json }: JsonOption): Promise<void> {
  const { servers } = await askMcp<{ servers: ServerFacts[] }>(client, "list", {});
  if (json) return terminal.json(servers);
  if (servers.length === 0)
    return terminal.line(
      "There is no MCP server. `nika mcp search WORDS` finds some; docs/mcp.md tells how to declare your own.",
    );
  const rows = servers.map((server) => [
    server.name,
    server.isBare && server.transport === "stdio"
      ? terminal.style("red", `${server.state}, no sandbox`)
      : server.signIn === "wanted"
        ? terminal.style("yellow", "wants sign-in")
        : server.state,
    server.transport,
    countOf(server.tools.filter(({ kind, standing }) => kind === "tool" && standing === "approved").length, "tool"),
    waiting(server),
    oneLine(server.problem ?? server.target),
  ]);
  for (const line of table(rows, { width: terminal.width, give: [5, 0] })) terminal.line(line);
  if (servers.some((server) => waiting(server) !== ""))
    terminal.note("See what waits with `nika mcp show NAME`, and approve it with `nika mcp approve NAME`.");
}

function waiting({ tools }: ServerFacts): string {
  const count = tools.filter(({ standing }) => standing !== "approved").length;
  return count === 0 ? "" : `${count} to approve`;
}

type NameOption = JsonOption & { readonly name: string };

export async function serverNamed(client: Client, name: string): Promise<ServerFacts> {
  const { servers } = await askMcp<{ servers: ServerFacts[] }>(client, "list", {});
  const server = servers.find((one) => one.name === name);
  if (!server) throw new NikaError("missing", `There is no MCP server named "${name}"; see \`nika mcp list\`.`);
  return server;
}

/** One digest over what is shown, for whoever approves it later: what changed meanwhile has another. */
const digestOf = (seen: Seen): string => createHash("sha256").update(seenText(seen)).digest("hex");
/** Enough of it to type, and too much to forge. */
export const digestChars = 32;

/** `command` shows what it is now. */
export function mustMatch(digest: string, now: string, command: string): void {
  if (!/^[0-9a-f]{16,64}$/u.test(digest))
    throw new NikaError("invalid", `A digest is what \`${command}\` prints: 16 to 64 hexadecimal digits.`);
  if (!now.startsWith(digest))
    throw new NikaError("conflict", `It is not what you looked at any more, so nothing was done; see \`${command}\`.`);
}

/** The digest of what was shown. */
export async function runServer(terminal: Terminal, client: Client, { name, json }: NameOption): Promise<string> {
  const server = await serverNamed(client, name);
  const digest = digestOf(seenOf(server));
  if (json) {
    terminal.json({ ...server, digest });
    return digest;
  }
  terminal.line(`${terminal.style("bold", server.name)} ${server.state} · ${server.transport} · ${oneLine(server.target)}`);
  terminal.line(`  from ${server.origin}`);
  if (server.signIn === "done") terminal.line("  Nika is signed in there.");
  if (server.isBare) terminal.line(terminal.style("red", "  It runs without a sandbox: it may do whatever you may."));
  if (server.problem !== undefined)
    for (const line of wrap(printable(server.problem), terminal.width - 2)) terminal.line(`  ${line}`);
  if (server.upgrade) terminal.line(`  A new form waits, because it answers otherwise: \`nika mcp upgrade ${name}\`.`);
  showOffers(terminal, server.tools);
  showInstructions(terminal, server);
  sayHow(terminal, server);
  return digest;
}

/** How to approve what was just shown, and nothing that comes later. */
function sayHow(terminal: Terminal, server: ServerFacts): void {
  const { name, isBare, transport, targetSha256 = "" } = server;
  if (waiting(server) !== "")
    terminal.line(`Approve what is shown: nika mcp approve ${name} --digest ${digestOf(seenOf(server)).slice(0, digestChars)}`);
  if (server.state === "failed" && transport === "stdio" && !isBare)
    terminal.line(`Run it without a sandbox: nika mcp allow ${name} --digest ${targetSha256.slice(0, digestChars)}`);
}

function showOffers(terminal: Terminal, tools: readonly ToolView[]): void {
  for (const tool of tools) {
    const mark = tool.standing === "approved" ? terminal.style("green", "✓") : terminal.style("red", "?");
    const standing = tool.standing === "approved" ? "" : ` ${tool.standing}`;
    const asks = tool.approval === "never" ? "" : `, ${tool.approval}`;
    terminal.line(`${mark} ${tool.publicName} (${tool.kind === "prompt" ? "prompt" : tool.class}${asks})${standing}`);
    const about = oneLine(tool.description);
    if (about !== "") for (const line of wrap(about, terminal.width - 4).slice(0, 3)) terminal.line(`    ${line}`);
    for (const line of tool.diff) terminal.line(`    ${terminal.style("bold", "differs")} ${printable(line)}`);
    for (const line of tool.warnings) terminal.line(`    ${terminal.style("red", "careful:")} ${printable(line)}`);
    if (tool.hidden !== undefined) terminal.line(`    ${tool.hidden}`);
  }
}

type Tested = {
  name: string;
  ms: number;
  era: string;
  server: { name: string; version: string };
  tools: number;
  prompts: number;
  resources: number;
  offers: ToolView[];
};

export async function runTest(
  terminal: Terminal,
  client: Client,
  { name, json, signal }: NameOption & { readonly signal: AbortSignal },
): Promise<void> {
  const tested = await askMcp<Tested>(client, "test", { name }, signal);
  if (json) return terminal.json(tested);
  const era = tested.era === "modern" ? "the stateless era" : "the era of handshakes";
  terminal.line(
    `${name} answers: ${oneLine(tested.server.name)} ${oneLine(tested.server.version)}, ${era}, ${spanOf(tested.ms)}.`,
  );
  terminal.line(
    `${countOf(tested.tools, "tool")}, ${countOf(tested.prompts, "prompt")}, ${countOf(tested.resources, "resource")}.`,
  );
  showOffers(terminal, tested.offers);
  const server = await serverNamed(client, name);
  showInstructions(terminal, server);
  sayHow(terminal, server);
}

/** What is about to be approved: that, and nothing that comes later. */
function showApproved(terminal: Terminal, server: ServerFacts, only: readonly string[] | undefined): void {
  showOffers(
    terminal,
    server.tools.filter(({ name, standing }) => only?.includes(name) ?? standing !== "approved"),
  );
  if (!only) showInstructions(terminal, server);
}

function showInstructions(terminal: Terminal, server: ServerFacts): void {
  if (!server.instructions || server.instructions.text === "") return;
  terminal.line("It says of itself, to models:");
  for (const line of wrap(printable(server.instructions.text), terminal.width - 4).slice(0, 8)) terminal.line(`    ${line}`);
  for (const warning of server.instructions.warnings) terminal.line(`    ${terminal.style("red", "careful:")} ${warning}`);
}

type SeenOption = NameOption & {
  /** Of what was looked at before; undefined: it is shown, and a person asked. */
  readonly digest: string | undefined;
  readonly signal: AbortSignal;
};

export async function runApprove(
  terminal: Terminal,
  client: Client,
  { name, tools, digest, json, signal }: SeenOption & { readonly tools: readonly string[] },
): Promise<void> {
  const server = await serverNamed(client, name);
  const only = tools.length > 0 ? tools : undefined;
  const unknown = only?.find((tool) => !server.tools.some((one) => one.name === tool));
  if (unknown !== undefined) throw new NikaError("missing", `"${name}" has no tool or prompt named "${unknown}".`);
  const seen = seenOf(server, only);
  const now = digestOf(seen);
  if (digest !== undefined) mustMatch(digest, now, `nika mcp show ${name}`);
  if (!json) showApproved(terminal, server, only);
  if (digest === undefined) {
    const flag = `--digest ${now.slice(0, digestChars)}`;
    const isMeant = await confirmed(terminal, {
      text: `Let this be used as it is shown (sha256 ${now.slice(0, 16)}…)?`,
      otherwise: `Nothing was approved: nobody is here to say that this was looked at. Add ${flag} for what is shown, or what \`nika mcp show ${name}\` printed when you looked.`,
      signal,
    });
    if (!isMeant) return terminal.line("Nothing was approved.");
  }
  const { approved } = await askMcp<{ approved: number }>(client, "approve", { name, seen });
  if (json) return terminal.json({ name, approved });
  terminal.line(
    `${countOf(approved, "tool or prompt", "tools and prompts")} of ${name} may be used as they are now. When one changes, it waits for you again.`,
  );
  if (!only && server.tools.length >= toolsShownMax) terminal.note(`More of it may wait; see \`nika mcp show ${name}\`.`);
}

export async function runAllow(
  terminal: Terminal,
  client: Client,
  { name, isAllowed, digest, json, signal }: SeenOption & { readonly isAllowed: boolean },
): Promise<void> {
  const { target, targetSha256: seen } = await serverNamed(client, name);
  if (isAllowed && seen !== undefined) {
    if (digest !== undefined) mustMatch(digest, seen, `nika mcp show ${name}`);
    if (!json) terminal.line(`  ${oneLine(target)}`);
    const isMeant =
      digest !== undefined ||
      (await confirmed(terminal, {
        text: `Let this run without a sandbox, where it may do whatever you may (sha256 ${seen.slice(0, 16)}…)?`,
        otherwise: `Nothing was allowed: nobody is here to say that this was looked at. Add --digest ${seen.slice(0, digestChars)} for the command as it is now.`,
        signal,
      }));
    if (!isMeant) return terminal.line("Nothing was allowed.");
  }
  await askMcp(client, "allow", { name, isAllowed, ...(isAllowed && { seen: seen ?? "0".repeat(64) }) });
  if (json) return terminal.json({ name, isAllowed });
  terminal.line(
    isAllowed
      ? `${name} runs without a sandbox from now on, as it is declared now: ${terminal.style("red", "it may do whatever you may.")} Take it back with \`nika mcp allow ${name} --revoke\`.`
      : `${name} runs in a sandbox only.`,
  );
}

type CallOption = NameOption & { readonly args: string | undefined; readonly signal: AbortSignal };
type Called = {
  readonly content?: readonly { type: string; text?: string; mimeType?: string }[];
  readonly structuredContent?: unknown;
  readonly isError?: boolean;
};

/** Whether it went well. */
export async function runToolCall(
  terminal: Terminal,
  client: Client,
  { name, args, json, signal }: CallOption,
): Promise<boolean> {
  let given: unknown = {};
  try {
    if (args !== undefined) given = JSON.parse(args);
  } catch (error) {
    throw new NikaError("invalid", `The arguments must be a JSON object, as in '{"message": "hi"}'.`, { cause: error });
  }
  const result = await askMcp<Called>(client, "call", { name, arguments: given }, signal);
  if (json) terminal.json(result);
  else
    for (const part of result.content ?? [])
      terminal.line(
        part.type === "text"
          ? printable(part.text ?? "")
          : `(${part.type}${part.mimeType === undefined ? "" : `, ${part.mimeType}`})`,
      );
  return result.isError !== true;
}

export async function runCalls(
  terminal: Terminal,
  client: Client,
  { server, limit, json }: JsonOption & { readonly server: string | undefined; readonly limit: number },
): Promise<void> {
  const calls = await (await client.http()).query(api.servers.calls, { limit, ...(server !== undefined && { server }) });
  if (json) return terminal.json(calls);
  if (calls.length === 0) return terminal.line("No tool has been called.");
  const rows = calls
    .toReversed()
    .map((call) => [
      new Date(call.at).toLocaleString(),
      `${call.server}.${oneLine(call.tool)}`,
      oneLine(call.by),
      spanOf(call.ms),
      sizeOf(call.resultBytes),
      call.labels === undefined ? "" : call.labels.map((label) => (label === "untrusted" ? "outside" : label)).join(" "),
      call.isError
        ? terminal.style("red", oneLine(call.problem ?? "error"))
        : call.warnings === undefined
          ? "ok"
          : terminal.style("red", oneLine(`careful: ${call.warnings.join("; ")}`)),
    ]);
  for (const line of table(rows, { width: terminal.width, give: [6, 1] })) terminal.line(line);
}

export async function runReload(terminal: Terminal, client: Client, { json }: JsonOption): Promise<void> {
  await askMcp(client, "reload", {});
  return runServers(terminal, client, { json });
}

/** The secret is made here and shown once; the control plane gets only its hash. */
export async function runMcpToken(terminal: Terminal, client: Client, { name, json }: NameOption): Promise<void> {
  const token = `nkm_${randomBytes(32).toString("base64url")}`;
  await (await client.http()).mutation(api.servers.addToken, { name, hash: createHash("sha256").update(token).digest("hex") });
  const url = `${client.run.url}/mcp`;
  if (json) return terminal.json({ name, token, url });
  terminal.line(token);
  terminal.note(
    `This is shown once. Its holder connects to ${url} with it as a bearer token, and may use every tool you approved.`,
  );
}

export async function runMcpTokens(terminal: Terminal, client: Client, { json }: JsonOption): Promise<void> {
  const tokens = await (await client.http()).query(api.servers.tokens, {});
  if (json) return terminal.json(tokens);
  if (tokens.length === 0) return terminal.line("There is no token; `nika mcp token NAME` makes one.");
  for (const { name, createdAt } of tokens) terminal.line(`${oneLine(name)}  ${spanOf(Date.now() - createdAt)} old`);
}

export async function runMcpRevoke(terminal: Terminal, client: Client, { name, json }: NameOption): Promise<void> {
  await (await client.http()).mutation(api.servers.revokeToken, { name });
  if (json) return terminal.json({ name });
  terminal.line(`${oneLine(name)} opens nothing any more.`);
}

/** Standard input and output belong to the protocol; this is only the pipe to the appliance. */
export async function runMcpServe(
  client: Client,
  { mode, signal }: { readonly mode: string | undefined; readonly signal: AbortSignal },
): Promise<void> {
  const url = new URL(`/mcp/pipe${mode === undefined ? "" : `?tools=${mode}`}`, client.run.localUrl);
  const token = await client.token();
  const socket = await new Promise<NodeJS.ReadWriteStream>((done, fail) => {
    const request = httpRequest(url, {
      headers: { authorization: `Bearer ${token}`, connection: "Upgrade", upgrade: "mcp" },
      signal,
    });
    request.on("upgrade", (_response, upgraded, head) => {
      upgraded.setNoDelay(true);
      if (head.length > 0) upgraded.unshift(head);
      done(upgraded);
    });
    request.on("response", ({ statusCode }) =>
      fail(new NikaError("denied", `Nika did not take the connection (${statusCode}).`)),
    );
    request.on("error", fail);
    request.end();
  });
  // Either side may end it; what is under way on the other then is moot.
  await Promise.race([pipeline(process.stdin, socket, { end: true }), pipeline(socket, process.stdout, { end: false })]).catch(
    (error: unknown) => {
      if (!signal.aborted) process.stderr.write(`nika mcp serve: ${error instanceof Error ? error.message : String(error)}\n`);
    },
  );
  // The last answers are on their way.
  await new Promise<void>((done) => {
    socket.once("close", () => done());
    setTimeout(done, 500).unref();
  });
}
