/** Tells the control plane how servers stand and what was called, a moment later and many at once: the page looks at rows, not at us. */
import { internal } from "../../../convex/_generated/api.js";
import { textCharsMax, toolsShownMax, type ServerFacts, type ToolCallView } from "../../../convex/model/serverView.ts";
import type { State } from "../../../functions/ports/state.ts";
import { lint } from "../../../convex/model/tool.ts";
import { sha256 } from "./kept.ts";
import type { Entry, Ledger } from "../log/ledger.ts";
import { digestOf } from "../routes.ts";
import { commandHash } from "./pins.ts";
import type { Pool } from "./pool.ts";
import type { ServerStanding } from "./standings.ts";

const callsEveryMs = 400;
const callsAtOnceMax = 200;
const serversAtOnceMax = 50;
const instructionsShownMax = 2_000;

export type Reporter = { close(): Promise<void> };
export type ReporterOptions = {
  readonly pool: Pool;
  readonly ledger: Ledger;
  readonly state: State;
  readonly log: (line: string) => void;
};

export function openReporter({ pool, ledger, state, log }: ReporterOptions): Reporter {
  const told = new Map<string, string>();
  let waiting: ToolCallView[] = [];
  let timer: NodeJS.Timeout | undefined;
  let isWhole = true;
  let working: Promise<void> = Promise.resolve();

  const tellServers = async (): Promise<void> => {
    const standings = pool.standings().map(toFacts);
    const names = new Set(standings.map(({ name }) => name));
    const hasGone = [...told.keys()].some((name) => !names.has(name));
    const changed = standings.filter((facts) => told.get(facts.name) !== JSON.stringify(facts));
    if (changed.length === 0 && !hasGone && !isWhole) return;
    if (isWhole || hasGone) {
      // Rows of servers that are no more go with the whole picture, which names only.
      await state.mutation(internal.servers.retain, { names: [...names] });
      for (const name of told.keys()) if (!names.has(name)) told.delete(name);
      isWhole = false;
    }
    for (let at = 0; at < changed.length; at += serversAtOnceMax) {
      const some = changed.slice(at, at + serversAtOnceMax);
      await state.mutation(internal.servers.report, { servers: some });
      for (const facts of some) told.set(facts.name, JSON.stringify(facts));
    }
  };
  const tellCalls = async (): Promise<void> => {
    const calls = waiting;
    waiting = [];
    if (calls.length > 0)
      await state.mutation(internal.servers.recordCalls, { calls: calls.slice(-callsAtOnceMax), head: ledger.head() });
  };
  const queue = (work: () => Promise<void>): void => {
    working = working.then(work).catch((error: unknown) => log(`mcp: the page was not told: ${String(error)}`));
  };
  const unlisten = pool.onStanding(() => queue(tellServers));
  const unwatch = ledger.onEntry((entry) => {
    const call = toCall(entry);
    if (!call) return;
    waiting.push(call);
    timer ??= setTimeout(() => {
      timer = undefined;
      queue(tellCalls);
    }, callsEveryMs).unref();
  });
  queue(tellServers);
  return {
    async close() {
      unlisten();
      unwatch();
      clearTimeout(timer);
      queue(tellCalls);
      await working;
    },
  };
}

const isTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every((one) => typeof one === "string");

function toCall(entry: Entry): ToolCallView | undefined {
  if (entry.type !== "call") return undefined;
  const { seq, at, problem } = entry;
  return {
    seq,
    at,
    server: String(entry["server"]),
    tool: String(entry["tool"]),
    by: String(entry["by"]),
    ms: Number(entry["ms"]),
    isError: entry["isError"] === true,
    ...(typeof problem === "string" && { problem: problem.slice(0, textCharsMax) }),
    ...(isTexts(entry["labels"]) && { labels: entry["labels"] }),
    ...(isTexts(entry["warnings"]) && { warnings: entry["warnings"].slice(0, 5).map((one) => one.slice(0, textCharsMax)) }),
    argsBytes: Number(entry["argsBytes"] ?? 0),
    resultBytes: Number(entry["resultBytes"] ?? 0),
  };
}

/** What is left out is told: an approval is for all of it. */
const shortened = (text: string): string =>
  text.length <= textCharsMax ? text : `${text.slice(0, textCharsMax)}… [+${text.length - textCharsMax}]`;

/** A server as the owner sees it. Values of variables are not in it: the configuration names them only. */
export function toFacts({
  name,
  config,
  origin,
  installed,
  state,
  problem,
  isBareAllowed,
  listing,
  offers,
  peers,
  signIn,
  upgrade,
}: ServerStanding): ServerFacts {
  const instructions = listing?.instructions ?? "";
  const transport = config?.transport;
  const target = !transport ? "" : transport.type === "stdio" ? [transport.command, ...transport.args].join(" ") : transport.url;
  const order = { changed: 0, renamed: 1, new: 2, approved: 3 };
  const tools = offers.toSorted((left, right) => order[left.standing] - order[right.standing]).slice(0, toolsShownMax);
  return {
    name,
    origin,
    ...(installed && { installed: { name: installed.entry.name, version: installed.entry.version, source: installed.source } }),
    transport: transport?.type ?? "none",
    target: target.slice(0, textCharsMax),
    ...(config?.transport.type === "stdio" && { targetSha256: commandHash(config) }),
    state,
    ...(problem !== undefined && { problem: problem.slice(0, 2 * textCharsMax) }),
    isBare: isBareAllowed,
    ...(listing && { era: listing.era, listedAt: listing.listedAt }),
    ...(signIn !== undefined && { signIn }),
    ...(upgrade && {
      upgrade: {
        calls: upgrade.calls,
        lines: upgrade.lines.map((line) => line.slice(0, textCharsMax)),
        ...(upgrade.sha256 === undefined ? { isTrying: true } : { sha256: upgrade.sha256 }),
      },
    }),
    ...(listing && {
      instructions: {
        text: instructions.slice(0, instructionsShownMax),
        sha256: sha256(instructions),
        warnings: lint({ instructions }).map(({ what }) => what),
      },
    }),
    resources: listing?.resources.length ?? 0,
    peers,
    tools: tools.map(({ kind, name: tool, publicName, definition, ruling, standing, diff, findings, before, hidden }) => ({
      kind,
      name: tool,
      publicName,
      description: shortened(definition.description ?? ""),
      class: ruling.class,
      approval: ruling.approval,
      standing,
      diff: [...(before === undefined ? [] : [`it was called ${before}`]), ...diff],
      warnings: findings.slice(0, 10).map(({ path, what }) => `${path} ${what}`),
      ...(hidden !== undefined && { hidden }),
      sha256: digestOf(definition).sha256,
    })),
  };
}
