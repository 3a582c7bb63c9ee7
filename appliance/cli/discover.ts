/** `nika mcp search`, `info`, `install` and `registries`: servers that others published, looked at before they are let in. */
import type { FunctionReturnType } from "convex/server";
import { api } from "../../convex/_generated/api.js";
import { NikaError } from "../../convex/model/error.ts";
import type { FoundServers, InstallResult, InstallWish, ServerInfo } from "../../convex/model/install.ts";
import type { Warning } from "../../convex/model/lookalike.ts";
import type { RegistryType } from "../../convex/model/registry.ts";
import { seenOf } from "../../convex/model/serverView.ts";
import type { Client } from "./client.ts";
import { canAsk, confirmed } from "./confirm.ts";
import { withLive } from "./live.ts";
import { runApprove, runServer, serverNamed } from "./mcp.ts";
import { askMcp } from "./mcpClient.ts";
import type { Terminal } from "./terminal.ts";
import { countOf, oneLine, printable, spanOf, table, wrap } from "./text.ts";

type JsonOption = { readonly json: boolean };
type Signal = { readonly signal: AbortSignal };

export async function runMcpSearch(
  terminal: Terminal,
  client: Client,
  {
    words,
    registry,
    limit,
    json,
    signal,
  }: JsonOption & Signal & { readonly words: string; readonly registry: string | undefined; readonly limit: number },
): Promise<void> {
  const answer = await askMcp<FoundServers>(
    client,
    "search",
    { words, limit, ...(registry !== undefined && { registry }) },
    signal,
  );
  if (json) return terminal.json(answer);
  if (answer.isFirst)
    note(
      terminal,
      "The official registry is turned on from now on: it is asked, and copied here once an hour. `nika mcp registries off official` ends that.",
    );
  for (const { source, message } of answer.problems) note(terminal, `${source}: ${message}`);
  if (answer.asked.length === 0)
    return terminal.line("No registry is turned on, so nobody was asked; see `nika mcp registries`.");
  if (answer.servers.length === 0) return terminal.line(`Nothing was found in ${answer.asked.join(", ")}.`);
  const rows = answer.servers.map(({ name, version, offer, alias, source, description, status }) => [
    oneLine(name),
    oneLine(version),
    alias === undefined ? (offer ?? "-") : terminal.style("green", `here: ${alias}`),
    source,
    `${status === "active" ? "" : `(${status}) `}${oneLine(description)}`,
  ]);
  for (const line of table(rows, { width: terminal.width, give: [4, 0] })) terminal.line(line);
  note(terminal, "See more with `nika mcp info NAME`.");
}

/** `name@version`; a scope begins with an `@` too. */
export function splitVersion(text: string): { readonly name: string; readonly version?: string } {
  const at = text.lastIndexOf("@");
  const isVersion = at > 0 && !text.slice(at).includes("/") && text[at - 1] !== ":";
  return isVersion ? { name: text.slice(0, at), version: text.slice(at + 1) } : { name: text };
}

type Named = {
  readonly name: string;
  readonly registry: string | undefined;
  readonly alias: string | undefined;
  readonly isRemote: boolean;
};

const wishOf = ({ name, registry, alias, isRemote }: Named) => ({
  ...splitVersion(name),
  ...(registry !== undefined && { registry }),
  ...(alias !== undefined && { alias }),
  ...(isRemote && { offer: "remote" as const }),
});

export async function runMcpInfo(
  terminal: Terminal,
  client: Client,
  { json, signal, ...named }: JsonOption & Signal & Named,
): Promise<void> {
  const info = await askMcp<ServerInfo>(client, "info", wishOf(named), signal);
  if (json) return terminal.json(info);
  showInfo(terminal, info);
  note(terminal, `Install it with \`nika mcp install ${named.name}\`; it would be "${info.alias}" here.`);
}

const signatures: Readonly<Record<NonNullable<ServerInfo["signature"]>, string>> = {
  verified: "signed by its registry, verified",
  absent: "not signed, although its registry signs",
  notOffered: "its registry offers no signatures",
};

function showInfo(
  terminal: Terminal,
  { source, entry, offer, inputs, warnings, publisher, signature, publishedAt, installed }: ServerInfo,
): void {
  const { name, title, description, repository, website } = entry;
  terminal.line(`${terminal.style("bold", oneLine(title ?? name))} ${oneLine(offer.version)} · ${source}`);
  if (description !== "") for (const line of wrap(printable(description), terminal.width - 2)) terminal.line(`  ${line}`);
  const facts = [
    ["name", name],
    [offer.type === "remote" ? "runs elsewhere" : "package", offer.what],
    [
      "published",
      [publisher, publishedAt === undefined ? undefined : `${spanOf(Date.now() - publishedAt)} ago`].filter(Boolean).join(", "),
    ],
    ["signature", signature === undefined ? "" : signatures[signature]],
    ["code", repository ?? ""],
    ["more", website ?? ""],
    ["installed", installed ?? ""],
  ].filter(([, value]) => value !== "");
  for (const line of table(
    facts.map(([key = "", value = ""]) => [`  ${key}`, oneLine(value)]),
    { width: terminal.width, give: [1] },
  ))
    terminal.line(line);
  for (const input of inputs) {
    const how = input.isSecret
      ? `nika secrets set ${input.secretName}`
      : `--set ${input.name}=${input.choices?.join("|") ?? input.fallback ?? "VALUE"}`;
    terminal.line(`  ${input.isRequired ? "needs" : "takes"} ${how}  ${oneLine(input.description ?? "")}`);
  }
  showWarnings(terminal, warnings);
}

function showWarnings(terminal: Terminal, warnings: readonly Warning[]): void {
  for (const { text, isGrave } of warnings)
    for (const [at, line] of wrap(printable(text), terminal.width - 12).entries())
      terminal.line(`  ${terminal.style(isGrave ? "red" : "yellow", at === 0 ? "careful:" : "        ")} ${line}`);
}

export type InstallOptions = JsonOption &
  Signal &
  Named & {
    readonly values: Readonly<Record<string, string>>;
    readonly args: readonly string[];
    readonly env: Readonly<Record<string, string>>;
    readonly secrets: readonly string[];
    readonly egress: readonly string[];
    readonly mounts: readonly string[];
    readonly storage: string | undefined;
    readonly despiteWarnings: boolean;
    readonly approves: boolean;
  };

export async function runMcpInstall(terminal: Terminal, client: Client, options: InstallOptions): Promise<void> {
  const { json, signal, despiteWarnings, approves } = options;
  const named = wishOf(options);
  const info = await askMcp<ServerInfo>(client, "info", named, signal);
  if (!json) showInfo(terminal, info);
  const grave = info.warnings.filter(({ isGrave }) => isGrave);
  if (grave.length > 0 && !despiteWarnings)
    throw new NikaError(
      "denied",
      `It was not installed: ${grave.map(({ text }) => text).join(" ")} If you are sure, add --despite-warnings.`,
    );
  const wish: InstallWish = {
    ...named,
    // What was looked at is what is installed, also when a newer one comes meanwhile.
    ...(info.offer.type === "package" && { version: info.offer.version }),
    values: { ...options.values },
    args: [...options.args],
    env: { ...options.env },
    secrets: [...options.secrets],
    egress: [...options.egress],
    mounts: [...options.mounts],
    ...(options.storage !== undefined && { storage: options.storage }),
    despiteWarnings,
  };
  const id = await (await client.http()).mutation(api.installs.begin, { wish });
  const result = await follow(terminal, client, { id, json, signal });
  if (json) {
    if (approves && result.waiting > 0)
      await askMcp(client, "approve", { name: result.alias, seen: seenOf(await serverNamed(client, result.alias)) });
    return terminal.json(result);
  }
  showResult(terminal, result);
  if (result.waiting === 0) return;
  const digest = await runServer(terminal, client, { name: result.alias, json: false });
  const isMeant =
    approves ||
    (canAsk(terminal) &&
      (await confirmed(terminal, {
        text: `Let ${countOf(result.waiting, "tool or prompt", "tools and prompts")} of ${result.alias} be used as they are now?`,
        otherwise: "",
        signal,
      })));
  if (isMeant) await runApprove(terminal, client, { name: result.alias, tools: [], digest, json: false, signal });
  else note(terminal, `Nobody can use it before you approve it: \`nika mcp approve ${result.alias}\`.`);
}

type View = NonNullable<FunctionReturnType<typeof api.installs.get>>;

const stepWords: Readonly<Record<View["step"], string>> = {
  look: "Looking it up",
  fetch: "Fetching",
  verify: "Verifying",
  try: "Trying it",
  place: "Declaring it",
  done: "Done",
};

/** Until it ended. Ctrl-C leaves it to go on; `nika jobs` shows it. */
async function follow(
  terminal: Terminal,
  client: Client,
  { id, json, signal }: JsonOption & Signal & { readonly id: View["id"] },
): Promise<InstallResult> {
  let said = "";
  return withLive<InstallResult>(await client.live(), signal, (watch, done) => {
    watch(api.installs.get, { id }, (view) => {
      if (!view) throw new NikaError("missing", "The installation is not known any more; see `nika mcp list`.");
      const { state, step, note: about, problem, result } = view;
      const line =
        state === "waiting" && problem
          ? `Trying again: ${problem.message}`
          : `${stepWords[step]}${about === undefined ? "" : `: ${about}`}`;
      if (line !== said && !json && state !== "done") terminal.note((said = line));
      if (state === "failed" || state === "stopped")
        throw new NikaError(
          (problem?.code ?? "cancelled") as "invalid",
          problem?.message ?? "It was stopped before it was installed.",
        );
      if (result) done(result);
    });
  });
}

function showResult(
  terminal: Terminal,
  { alias, name, version, before, tools, marked, secrets, hosts, notes }: InstallResult,
): void {
  const was = before === undefined ? "" : `, in the place of ${before}`;
  terminal.line(`${terminal.style("green", "✓")} ${name} ${version} is installed as ${alias}${was}: ${countOf(tools, "tool")}.`);
  for (const text of notes) for (const line of wrap(printable(text), terminal.width - 2)) terminal.line(`  ${line}`);
  if (marked > 0)
    terminal.line(
      terminal.style("red", `  ${countOf(marked, "tool")} with something in the description that you should look at.`),
    );
  for (const secret of secrets) terminal.line(`  It needs a secret: nika secrets set ${secret}`);
  if (hosts.length > 0)
    for (const line of wrap(
      `Its code names hosts that it cannot reach: ${hosts.join(", ")}. Where that is right, install it again with --egress HOST:PORT.`,
      terminal.width - 2,
    ))
      terminal.line(`  ${line}`);
}

export async function runTurn(
  terminal: Terminal,
  client: Client,
  { name, isOn, json, signal }: JsonOption & Signal & { readonly name: string; readonly isOn: boolean },
): Promise<void> {
  await askMcp(client, "turn", { name, isOn }, signal);
  if (json) return terminal.json({ name, isOn });
  terminal.line(isOn ? `${name} is on again, with what you approved of it.` : `${name} is off; what you approved of it is kept.`);
}

export async function runMcpRemove(
  terminal: Terminal,
  client: Client,
  { name, yes, json, signal }: JsonOption & Signal & { readonly name: string; readonly yes: boolean },
): Promise<void> {
  const isMeant =
    yes ||
    (await confirmed(terminal, {
      text: `Remove ${oneLine(name)}, its package and what you approved of it?`,
      otherwise: `Nobody is here to confirm; add --yes to remove ${oneLine(name)}.`,
      signal,
    }));
  if (!isMeant) throw new NikaError("cancelled", "Nothing was removed.");
  const { removed } = await askMcp<{ removed: string }>(client, "remove", { name }, signal);
  if (json) return terminal.json({ name, file: removed });
  terminal.line(`${oneLine(name)} is removed: taken out of ${removed}, with what you approved of it.`);
}

// --- registries

export async function runRegistries(terminal: Terminal, client: Client, { json }: JsonOption): Promise<void> {
  const registries = await (await client.http()).query(api.registries.list, {});
  if (json) return terminal.json(registries);
  const rows = registries.map(({ name, url, isOn, isCopying, copiedAt, servers, problem, type }) => [
    name,
    isOn ? terminal.style("green", "on") : "off",
    oneLine(url),
    [
      servers === undefined ? "" : countOf(servers, "server"),
      copiedAt === undefined ? (type === "mcp" ? "" : "asked when you search") : `copied ${spanOf(Date.now() - copiedAt)} ago`,
      isCopying ? "being copied" : "",
      oneLine(problem ?? ""),
    ]
      .filter((text) => text !== "")
      .join(", "),
  ]);
  for (const line of table(rows, { width: terminal.width, give: [3, 2] })) terminal.line(line);
  note(terminal, "Nika asks only those that are on: `nika mcp registries on NAME`.");
}

type RegistryChange = {
  readonly name: string;
  readonly url?: string;
  readonly type?: RegistryType;
  readonly isOn?: boolean;
  readonly secret?: string;
};

export async function runSetRegistry(
  terminal: Terminal,
  client: Client,
  { json, ...change }: JsonOption & RegistryChange,
): Promise<void> {
  await (await client.http()).mutation(api.registries.set, change);
  if (json) return terminal.json(change);
  terminal.line(change.isOn === false ? `${change.name} is asked nothing any more.` : `${change.name} is on.`);
}

export async function runRemoveRegistry(
  terminal: Terminal,
  client: Client,
  { name, json }: JsonOption & { readonly name: string },
): Promise<void> {
  await (await client.http()).mutation(api.registries.remove, { name });
  if (json) return terminal.json({ name });
  terminal.line(`${oneLine(name)} is asked nothing any more.`);
}

function note(terminal: Terminal, text: string): void {
  for (const line of wrap(text, terminal.width)) terminal.note(line);
}
