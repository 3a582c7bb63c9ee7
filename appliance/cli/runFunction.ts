/** `nika run`: calls one function of the control plane as the owner, with the administrator's authority: internal ones too. */
import { codes, NikaError, type Code } from "../../convex/model/error.ts";
import type { Client } from "./client.ts";
import { placeIn, sentenceIn } from "./functionError.ts";
import type { Terminal } from "./terminal.ts";
import { printable } from "./text.ts";

type Reply =
  | { readonly status: "success"; readonly value: unknown; readonly logLines?: readonly string[] }
  | {
      readonly status: "error";
      readonly errorMessage: string;
      readonly errorData?: unknown;
      readonly logLines?: readonly string[];
    };

/** Actions may take ten minutes; the rest is for a machine that is slow to start one. */
const replyMs = 11 * 60_000;

/** What the function returned goes to stdout, what it logged to stderr. */
export async function runFunction(
  terminal: Terminal,
  client: Client,
  { path, args, json }: { readonly path: string; readonly args: string | undefined; readonly json: boolean },
): Promise<void> {
  const body = { path, args: parsed(args), format: "json" };
  const reply = await client.admin<Reply>("POST", "/api/function", { body, timeoutMs: replyMs });
  for (const line of reply.logLines ?? []) terminal.note(terminal.style("dim", printable(line)));
  if (reply.status === "error") throw failed(path, reply);
  if (json) return terminal.json(reply.value);
  terminal.line(typeof reply.value === "string" ? printable(reply.value) : printable(JSON.stringify(reply.value, undefined, 2)));
}

function parsed(args: string | undefined): object {
  if (args === undefined) return {};
  let value: unknown;
  try {
    value = JSON.parse(args);
  } catch (cause) {
    throw new NikaError("invalid", `The arguments are not JSON; write them like '{"limit": 5}'.`, { cause });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new NikaError("invalid", `The arguments must be one JSON object, like '{"limit": 5}'.`);
}

function failed(path: string, { errorMessage, errorData }: Reply & { status: "error" }): NikaError {
  const told = errorData as { code?: unknown; message?: unknown } | null | undefined;
  const isOurs = typeof told?.code === "string" && told.code in codes && typeof told.message === "string";
  const place = placeIn(errorMessage);
  const sentence = isOurs ? (told.message as string) : sentenceIn(errorMessage);
  const text = `${path} failed${place === undefined ? "" : ` at ${place}`}: ${sentence}`;
  return new NikaError(isOurs ? (told.code as Code) : codeOf(sentence), text, { cause: errorMessage });
}

function codeOf(sentence: string): Code {
  if (sentence.startsWith("Could not find")) return "missing";
  return /^ArgumentValidationError|^Trying to execute/.test(sentence) ? "invalid" : "bug";
}
