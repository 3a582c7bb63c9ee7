/** `nika ask` and `nika search`: the passages that bear on a question, cited. */
import {
  questionCharsMax,
  type Answer,
  type CitedPassage,
  type Highlight,
  type SearchFilter,
  type SearchWeights,
} from "../../convex/model/answer.ts";
import { NikaError } from "../../convex/model/error.ts";
import type { Client } from "./client.ts";
import type { Terminal } from "./terminal.ts";
import { oneLine, printable, wrap } from "./text.ts";

export type AskOptions = {
  readonly limit: number;
  readonly json: boolean;
  readonly filter?: SearchFilter;
  readonly weights?: SearchWeights;
  readonly explain?: boolean;
};

export function runAsk(terminal: Terminal, client: Client, question: string, options: AskOptions): Promise<void> {
  if (question.trim() === "") throw new NikaError("invalid", 'Ask something, as in `nika ask "what is due in May?"`.');
  return run(terminal, client, { path: "/nika/ask", question, ...options });
}

export function runSearch(terminal: Terminal, client: Client, question: string, options: AskOptions): Promise<void> {
  if (question.trim() === "") throw new NikaError("invalid", "Say what to look for, as in `nika search invoices of March`.");
  return run(terminal, client, { path: "/nika/search", question, ...options });
}

async function run(
  terminal: Terminal,
  client: Client,
  { path, question, json, explain = false, ...asked }: AskOptions & { readonly path: string; readonly question: string },
): Promise<void> {
  if (question.length > questionCharsMax)
    throw new NikaError("invalid", `A question has at most ${questionCharsMax} characters.`);
  const authorization = `Bearer ${await client.token()}`;
  const answer = await client.post<Answer>(path, { authorization, body: { question, ...asked, ...(explain && { explain }) } });
  if (json) terminal.json(answer);
  else for (const line of answerLines(answer, terminal)) terminal.line(line);
}

/** The whole answer as lines for this terminal. */
export function answerLines(answer: Answer, terminal: Pick<Terminal, "width" | "hasColor" | "style">): string[] {
  if (answer.passages.length === 0)
    return [
      "Nothing found. Add documents with `nika ingest PATH...`, see what is there with `nika documents`, or ask in other words.",
    ];
  const understood = understoodLine(answer);
  const heading = understood === "" ? [] : [...wrap(understood, terminal.width).map((line) => terminal.style("dim", line)), ""];
  const passages = answer.passages.flatMap((passage, index) => [...passageLines(passage, index + 1, terminal), ""]);
  const closing = `${answer.tookMs < 1 ? "<1" : Math.round(answer.tookMs)} ms · ${oneLine(answer.embedder.label)}`;
  return [...heading, ...passages, ...wrap(closing, terminal.width).map((line) => terminal.style("dim", line))];
}

function passageLines(passage: CitedPassage, rank: number, terminal: Pick<Terminal, "width" | "hasColor" | "style">): string[] {
  const place = passage.placeLabel === "" ? "" : ` · ${oneLine(passage.placeLabel)}`;
  const head = wrap(`${rank}. ${oneLine(passage.documentName)}${place}`, terminal.width).map((line) =>
    terminal.style("cyan", line),
  );
  const body = wrap(marked(passage.text, passage.highlights, terminal.hasColor), terminal.width - 3);
  const foot = [...alikeLines(passage), ...explanationLines(passage)].flatMap((line) => wrap(line, terminal.width - 3));
  return [
    ...head,
    ...(terminal.hasColor ? boldBetweenMarks(body, terminal) : body).map((line) => `   ${line}`.trimEnd()),
    ...foot.map((line) => terminal.style("dim", `   ${line}`)),
  ];
}

/** What Nika took the question to say, so that a wrong guess is seen. Empty when it guessed nothing. */
function understoodLine({ understood: { filter, phrases, codes, corrections } }: Answer): string {
  const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
  const parts = [
    ...(filter.types ? [`type ${filter.types.join(" or ")}`] : []),
    ...(filter.languages ? [`language ${filter.languages.join(" or ")}`] : []),
    ...(filter.from !== undefined ? [`from ${day(filter.from)}`] : []),
    ...(filter.to !== undefined ? [`to ${day(filter.to - 1)}`] : []),
    ...phrases.map((phrase) => `“${oneLine(phrase)}” word for word`),
    ...codes.map((code) => `code ${oneLine(code)}`),
    ...corrections.map(({ word, read }) => `${oneLine(word)} read as ${read.map(oneLine).join(" or ")}`),
  ];
  return parts.length === 0 ? "" : `Preferred: ${parts.join(" · ")}`;
}

function alikeLines({ alike = [] }: CitedPassage): string[] {
  if (alike.length === 0) return [];
  return [`The same in ${[...new Set(alike.map(({ documentName }) => oneLine(documentName)))].join(", ")}`];
}

function explanationLines({ documentId, ordinal, explanation }: CitedPassage): string[] {
  if (!explanation) return [];
  const { branches, terms, fused, passageShare, sentenceShare, reranker } = explanation;
  const percent = (share: number): string => `${Math.round(share * 100)} %`;
  return [
    `passage ${ordinal} of ${documentId}`,
    `found by ${branches.map(({ name, rank, score }) => `${oneLine(name)}: rank ${rank}, score ${score.toFixed(3)}`).join("; ")}`,
    `words ${terms.map(oneLine).join(", ") || "none"} · fused ${percent(fused)} · of the question ${percent(passageShare)} in it, ${percent(sentenceShare)} in one sentence` +
      (reranker === undefined ? "" : ` · reranker ${percent(reranker)}`),
  ];
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
