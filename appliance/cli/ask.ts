/** `nika ask`: the passages that bear on a question, cited. */
import { questionCharsMax, type Answer, type CitedPassage, type Highlight } from "../../convex/model/answer.ts";
import { NikaError } from "../../convex/model/error.ts";
import type { Client } from "./client.ts";
import type { Terminal } from "./terminal.ts";
import { oneLine, printable, wrap } from "./text.ts";

export type AskOptions = { readonly limit: number; readonly json: boolean };

export async function runAsk(terminal: Terminal, client: Client, question: string, { limit, json }: AskOptions): Promise<void> {
  if (question.trim() === "") throw new NikaError("invalid", 'Ask something, as in `nika ask "what is due in May?"`.');
  if (question.length > questionCharsMax)
    throw new NikaError("invalid", `A question has at most ${questionCharsMax} characters.`);
  const authorization = `Bearer ${await client.token()}`;
  const answer = await client.post<Answer>("/nika/ask", { authorization, body: { question, limit } });
  if (json) terminal.json(answer);
  else for (const line of answerLines(answer, terminal)) terminal.line(line);
}

/** The whole answer as lines for this terminal. */
export function answerLines(answer: Answer, terminal: Pick<Terminal, "width" | "hasColor" | "style">): string[] {
  if (answer.passages.length === 0)
    return [
      "Nothing found. Add documents with `nika ingest PATH...`, see what is there with `nika documents`, or ask in other words.",
    ];
  const passages = answer.passages.flatMap((passage, index) => [...passageLines(passage, index + 1, terminal), ""]);
  const closing = `${answer.tookMs < 1 ? "<1" : Math.round(answer.tookMs)} ms · ${oneLine(answer.embedder.label)}`;
  return [...passages, ...wrap(closing, terminal.width).map((line) => terminal.style("dim", line))];
}

function passageLines(passage: CitedPassage, rank: number, terminal: Pick<Terminal, "width" | "hasColor" | "style">): string[] {
  const place = passage.placeLabel === "" ? "" : ` · ${oneLine(passage.placeLabel)}`;
  const head = wrap(`${rank}. ${oneLine(passage.documentName)}${place}`, terminal.width).map((line) =>
    terminal.style("cyan", line),
  );
  const body = wrap(marked(passage.text, passage.highlights, terminal.hasColor), terminal.width - 3);
  return [...head, ...(terminal.hasColor ? boldBetweenMarks(body, terminal) : body).map((line) => `   ${line}`.trimEnd())];
}

/** Private characters that stand for "bold on" and "bold off" while lines are being broken; they take no column and no text holds them. */
const boldOn = "\u2060\uE000";
const boldOff = "\uE001\u2060";

/** The text with its answering sentences between marks: quotation marks, or placeholders for bold. Overlapping highlights become one. */
export function marked(text: string, highlights: readonly Highlight[], isBold: boolean): string {
  const shown = printable(text).replace(/[\uE000\uE001]/g, "\uFFFD");
  const [on, off] = isBold ? [boldOn, boldOff] : ["«", "»"];
  let out = "";
  let at = 0;
  for (const { from, to } of merged(highlights, shown.length)) {
    out += shown.slice(at, from) + on + shown.slice(from, to) + off;
    at = to;
  }
  return (out + shown.slice(at)).trim();
}

function merged(highlights: readonly Highlight[], length: number): Highlight[] {
  const inside = highlights
    .map(({ from, to }) => ({ from: Math.max(0, from), to: Math.min(length, to) }))
    .filter(({ from, to }) => from < to);
  const result: { from: number; to: number }[] = [];
  for (const next of inside.sort((left, right) => left.from - right.from)) {
    const last = result.at(-1);
    if (last && next.from <= last.to) last.to = Math.max(last.to, next.to);
    else result.push({ ...next });
  }
  return result;
}

/** Bold is closed at each line's end and opened again on the next: a pager that cuts lines must not leave the terminal bold. */
function boldBetweenMarks(lines: readonly string[], terminal: Pick<Terminal, "style">): string[] {
  let isBold = false;
  return lines.map((line) =>
    line
      .split(/([\uE000\uE001])/)
      .map((part) => {
        if (part === "\uE000" || part === "\uE001") {
          isBold = part === "\uE000";
          return "";
        }
        const shown = part.replaceAll("\u2060", "");
        return isBold && shown !== "" ? terminal.style("bold", shown) : shown;
      })
      .join(""),
  );
}
