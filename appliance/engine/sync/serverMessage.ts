/** What the server says, as text ready to be sent. Values arrive as JSON text and are put in as they are, never parsed again. */
import { randomUUID } from "node:crypto";
import type { ActionRun, MutationRun } from "../model/run.ts";
import type { Frame } from "../subscriptions/frame.ts";
import { encodeTs, type Version } from "./protocol.ts";

export type Change =
  | { readonly type: "changed"; readonly queryId: number; readonly frame: Frame }
  | { readonly type: "removed"; readonly queryId: number };

export type TransitionText = {
  readonly start: Version;
  readonly end: Version;
  readonly changes: readonly Change[];
  /** How far the client's clock is ahead of ours; it needs that to know when a token it did not see issued will expire. */
  readonly clockSkewMs: number | undefined;
  readonly nowMs: number;
};

/** Above this the text goes in slices, so that a slow line still shows signs of life to the client. In characters. */
const chunkChars = 4 * 1024 * 1024;
const unchunkedCharsMax = 5 * 1024 * 1024;
/** Smaller transitions do without the clocks, so that they are the same for all who are told of the same. */
const clocklessCharsMax = 256 * 1024;
/** A longer transition is not kept until the next. */
const keptCharsMax = 64 * 1024;

/** Of the last transition that was put into words: one commit often tells many sockets the same. */
let lastTold:
  | { readonly start: Version; readonly end: Version; readonly change: Change; readonly messages: readonly string[] }
  | undefined;

/** One message, or several that must go out with nothing between them. */
export function transitionMessages(transition: TransitionText): readonly string[] {
  const { start, end, changes } = transition;
  const [change] = changes;
  const isCommon = changes.length === 1 && change !== undefined && isSameQuestion(start, end);
  if (!isCommon) return messagesOf(transition);
  if (lastTold && isSame(lastTold.start, start) && isSame(lastTold.end, end) && isSameChange(lastTold.change, change))
    return lastTold.messages;
  const messages = messagesOf(transition);
  lastTold =
    messages.length === 1 && (messages[0] as string).length <= keptCharsMax ? { start, end, change, messages } : undefined;
  return messages;
}

function messagesOf({ start, end, changes, clockSkewMs, nowMs }: TransitionText): readonly string[] {
  const head = `{"type":"Transition","startVersion":${versionText(start)},"endVersion":${versionText(end)},"modifications":[`;
  const body = changes.map(changeText).join(",");
  // A client looks at the clocks when its token was accepted, and when a message was so large that it may have taken long.
  const isClockWanted = !isSameQuestion(start, end) || body.length > clocklessCharsMax;
  const skew = clockSkewMs === undefined ? "" : `,"clientClockSkew":${clockSkewMs}`;
  const text = `${head}${body}]${isClockWanted ? `${skew},"serverTs":${nowMs * 1e6}` : ""}}`;
  if (text.length <= unchunkedCharsMax) return [text];
  const transitionId = randomUUID();
  const totalParts = Math.ceil(text.length / chunkChars);
  return Array.from({ length: totalParts }, (_, partNumber) =>
    JSON.stringify({
      type: "TransitionChunk",
      chunk: text.slice(partNumber * chunkChars, (partNumber + 1) * chunkChars),
      partNumber,
      totalParts,
      transitionId,
    }),
  );
}

/** Only time has passed between the two. */
function isSameQuestion(a: Version, b: Version): boolean {
  return a.querySet === b.querySet && a.identity === b.identity;
}

function isSame(a: Version, b: Version): boolean {
  return isSameQuestion(a, b) && a.ts === b.ts;
}

function isSameChange(a: Change, b: Change): boolean {
  return a.type === "changed" && b.type === "changed" && a.queryId === b.queryId && a.frame === b.frame;
}

export function mutationResponse(requestId: number, { result, ts, logLines }: MutationRun): string {
  if (result.ok)
    return (
      `{"type":"MutationResponse","requestId":${requestId},"success":true,"result":${result.value},` +
      `"ts":"${encodeTs(ts ?? 0n)}","logLines":${JSON.stringify(logLines)}}`
    );
  return failedResponse("MutationResponse", requestId, { result, logLines });
}

export function actionResponse(requestId: number, { result, logLines }: ActionRun): string {
  if (result.ok)
    return (
      `{"type":"ActionResponse","requestId":${requestId},"success":true,"result":${result.value},` +
      `"logLines":${JSON.stringify(logLines)}}`
    );
  return failedResponse("ActionResponse", requestId, { result, logLines });
}

export function authError(error: string, baseVersion: number, authUpdateAttempted: boolean): string {
  return JSON.stringify({ type: "AuthError", error, baseVersion, authUpdateAttempted });
}

export function fatalError(error: string): string {
  return JSON.stringify({ type: "FatalError", error });
}

export const ping = '{"type":"Ping"}';

type Failed = {
  readonly result: { readonly message: string; readonly data?: string };
  readonly logLines: readonly string[];
};

function failedResponse(type: string, requestId: number, { result, logLines }: Failed): string {
  const data = result.data === undefined ? "" : `,"errorData":${result.data}`;
  return (
    `{"type":"${type}","requestId":${requestId},"success":false,"result":${JSON.stringify(result.message)},` +
    `"logLines":${JSON.stringify(logLines)}${data}}`
  );
}

function changeText(change: Change): string {
  if (change.type === "removed") return `{"type":"QueryRemoved","queryId":${change.queryId}}`;
  return `{"type":"${change.frame.type}","queryId":${change.queryId},${change.frame.members}}`;
}

function versionText({ querySet, identity, ts }: Version): string {
  return `{"querySet":${querySet},"identity":${identity},"ts":"${textOfTs(ts)}"}`;
}

let before: readonly [bigint, string] = [0n, encodeTs(0n)];
let latest = before;

/** When one commit wakes a thousand sockets, they are all told of the same two moments. */
function textOfTs(ts: bigint): string {
  if (ts === latest[0]) return latest[1];
  if (ts === before[0]) return before[1];
  before = latest;
  latest = [ts, encodeTs(ts)];
  return latest[1];
}
