/** `nika pictures search` and `nika search --pictures`: the pictures that bear on some words, or look like another. */
import { readFile, stat } from "node:fs/promises";
import { questionCharsMax, type CitedPicture, type PictureAnswer, type SearchFilter } from "../../convex/model/answer.ts";
import { NikaError } from "../../convex/model/error.ts";
import type { Client } from "./client.ts";
import type { Terminal } from "./terminal.ts";
import { oneLine, wrap } from "./text.ts";

export type PicturesOptions = {
  readonly limit: number;
  readonly json: boolean;
  readonly filter?: SearchFilter;
  readonly explain?: boolean;
  /** A file with a picture, in place of words. */
  readonly like?: string;
};

/** What is sent of a picture, as base64 in one request. */
const likeBytesMax = 16 * 1024 * 1024;
const textCharsShown = 300;

export async function runPictures(
  terminal: Terminal,
  client: Client,
  question: string,
  { json, like, limit, filter, explain }: PicturesOptions,
): Promise<void> {
  if ((question.trim() === "") === (like === undefined))
    throw new NikaError("invalid", "Say what the pictures show, or give one with --like; not both.");
  if (question.length > questionCharsMax)
    throw new NikaError("invalid", `A question has at most ${questionCharsMax} characters.`);
  const asked = like === undefined ? { question } : { image: (await readPicture(like)).toString("base64") };
  const authorization = `Bearer ${await client.token()}`;
  const body = { ...asked, limit, ...(filter && { filter }), ...(explain && { explain }) };
  const answer = await client.post<PictureAnswer>("/nika/pictures", { authorization, body });
  if (json) terminal.json(answer);
  else for (const line of pictureLines(answer, terminal)) terminal.line(line);
}

async function readPicture(path: string): Promise<Buffer> {
  const about = await stat(path).catch((cause: unknown) => {
    throw new NikaError("missing", `There is no file ${path}.`, { cause });
  });
  if (!about.isFile()) throw new NikaError("invalid", `${path} is not a file.`);
  if (about.size > likeBytesMax) throw new NikaError("invalid", `${path} is larger than ${likeBytesMax / 1024 / 1024} MB.`);
  return await readFile(path);
}

/** The whole answer as lines for this terminal. */
export function pictureLines({ pictures, sight, tookMs }: PictureAnswer, terminal: Pick<Terminal, "width" | "style">): string[] {
  const found = pictures.flatMap((picture, at) => [...linesOf(picture, at + 1, terminal), ""]);
  const nothing = pictures.length === 0 ? ["No picture bears on this. Ask in other words, or see `nika documents`.", ""] : [];
  const how = sight.isInForce
    ? oneLine(sight.label)
    : `found by their words alone: the pictures are stored for another model than ${oneLine(sight.label)}`;
  const closing = `${tookMs < 1 ? "<1" : Math.round(tookMs)} ms · ${how}`;
  return [...nothing, ...found, ...wrap(closing, terminal.width).map((line) => terminal.style("dim", line))];
}

function linesOf(picture: CitedPicture, rank: number, { width, style }: Pick<Terminal, "width" | "style">): string[] {
  const { documentName, placeLabel, caption, text, pictureId, documentId, passage, branches } = picture;
  const place = placeLabel === "" ? "" : ` · ${oneLine(placeLabel)}`;
  const head = wrap(`${rank}. ${oneLine(documentName)}${place}`, width).map((line) => style("cyan", line));
  const said = [caption, text].filter((part) => part !== undefined && part !== "").map((part) => oneLine(part ?? ""));
  const body = said.flatMap((part) => wrap(part.slice(0, textCharsShown), width - 3));
  const way = passage === undefined ? "" : ` · nika open ${documentId} --passage ${passage}`;
  const ranks = branches
    ?.map(({ name, rank: at, score }) => `${oneLine(name)}: rank ${at}, score ${score.toFixed(3)}`)
    .join("; ");
  const foot = [`/pictures/${pictureId}${way}`, ...(ranks === undefined ? [] : [`found by ${ranks}`])];
  return [...head, ...body.map((line) => `   ${line}`), ...foot.map((line) => style("dim", `   ${line}`))];
}
