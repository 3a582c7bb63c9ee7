/** `nika model use --import` and `--export`: what is remembered of use, as lines of JSON. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { api } from "../../convex/_generated/api.js";
import { NikaError } from "../../convex/model/error.ts";
import { auditLinesMax, isKey, type Audited, type AuditLine } from "../../convex/model/use.ts";
import type { Client } from "./client.ts";
import type { Terminal } from "./terminal.ts";
import { countOf } from "./text.ts";

const types = ["opened", "cited", "copied", "liked", "disliked"] as const;
const usesPerPage = 100;
/** Numbers of lines that are told; of a file of another kind it would be all. */
const toldMax = 5;

/** Reads a log line by line. What is no such line is counted and told, and the others are taken. */
export async function runUseImport(
  terminal: Terminal,
  client: Client,
  { path, json }: { path: string; json: boolean },
): Promise<void> {
  const http = await client.http();
  const sum: Audited = { added: 0, known: 0, missing: 0, untimely: 0 };
  const bad: number[] = [];
  let some: AuditLine[] = [];
  const send = async (): Promise<void> => {
    if (some.length === 0) return;
    const counts = await http.mutation(api.audit.add, { lines: some });
    for (const name of ["added", "known", "missing", "untimely"] as const) sum[name] += counts[name];
    some = [];
  };
  let at = 0;
  for await (const text of linesOf(path)) {
    at += 1;
    if (text.trim() === "") continue;
    const line = toAuditLine(text);
    if (line) some.push(line);
    else bad.push(at);
    if (some.length === auditLinesMax) await send();
  }
  await send();
  if (json) return terminal.json({ ...sum, unreadable: bad.length });
  terminal.line(`Remembered ${countOf(sum.added, "question")} of ${path}; ${sum.known} were known.`);
  if (sum.missing > 0) terminal.line(`${sum.missing} left out: no document of that id or name is here, or several are.`);
  if (sum.untimely > 0) terminal.line(`${sum.untimely} left out: older than two years, or of a time to come.`);
  if (bad.length > 0)
    terminal.line(
      `${bad.length} left out: no such line of JSON (line ${bad.slice(0, toldMax).join(", ")}${bad.length > toldMax ? ", …" : ""}); docs/learning.md says what it takes.`,
    );
}

/** Writes all that is remembered, oldest first. */
export async function runUseExport(terminal: Terminal, client: Client): Promise<void> {
  const http = await client.http();
  let cursor: string | null = null;
  do {
    const page: { lines: AuditLine[]; cursor: string | null } = await http.query(api.audit.page, {
      paginationOpts: { cursor, numItems: usesPerPage },
    });
    for (const { at, ...line } of page.lines) terminal.line(JSON.stringify({ ...line, at: new Date(at).toISOString() }));
    cursor = page.cursor;
  } while (cursor !== null);
}

async function* linesOf(path: string): AsyncGenerator<string> {
  const file = createReadStream(path, "utf8");
  try {
    yield* createInterface({ input: file, crlfDelay: Infinity });
  } catch (cause) {
    throw new NikaError("missing", `${path} cannot be read.`, { cause });
  } finally {
    file.destroy();
  }
}

/** Reads a line; undefined when it is none. */
export function toAuditLine(text: string): AuditLine | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { key, at, session, question, used = [] } = value as Record<string, unknown>;
  const when = typeof at === "number" ? at : typeof at === "string" ? Date.parse(at) : NaN;
  if (typeof question !== "string" || question.trim() === "" || !Number.isFinite(when) || !Array.isArray(used)) return undefined;
  const read = used.map(toUsed);
  if (read.includes(undefined)) return undefined;
  const own = `audit ${createHash("sha256").update(text).digest("hex").slice(0, 32)}`;
  return {
    key: typeof key === "string" && isKey(key) ? key : own,
    at: when,
    session: typeof session === "string" ? session : "",
    question,
    used: read as AuditLine["used"],
  };
}

function toUsed(value: unknown): AuditLine["used"][number] | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { type, document, ordinal = 0 } = value as Record<string, unknown>;
  const known = types.find((one) => one === type);
  if (!known || typeof document !== "string" || typeof ordinal !== "number" || !Number.isInteger(ordinal) || ordinal < 0)
    return undefined;
  return { type: known, document, ordinal };
}
