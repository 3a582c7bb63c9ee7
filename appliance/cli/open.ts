/** `nika open`: a passage with what stands around it in its document. */
import { api } from "../../convex/_generated/api.js";
import type { OpenedPassage } from "../../convex/model/answer.ts";
import type { Client } from "./client.ts";
import { onlyOne } from "./documents.ts";
import type { Terminal } from "./terminal.ts";
import { oneLine, printable, wrap } from "./text.ts";

export type OpenOptions = { readonly ordinal: number; readonly json: boolean };

export async function runOpen(terminal: Terminal, client: Client, name: string, { ordinal, json }: OpenOptions): Promise<void> {
  const document = onlyOne(await (await client.http()).query(api.documents.find, { name }), name);
  const authorization = `Bearer ${await client.token()}`;
  const opened = await client.post<OpenedPassage>("/nika/open", { authorization, body: { documentId: document.id, ordinal } });
  if (json) terminal.json(opened);
  else for (const line of openedLines(opened, terminal)) terminal.line(line);
}

/** The section as lines; the passage that was asked for carries a mark. */
export function openedLines(opened: OpenedPassage, terminal: Pick<Terminal, "width" | "style">): string[] {
  const passages = opened.passages.flatMap(({ ordinal, text, placeLabel }) => {
    const isAsked = ordinal === opened.ordinal;
    const head = `${isAsked ? "▸" : " "} ${ordinal}${placeLabel === "" ? "" : ` · ${oneLine(placeLabel)}`}`;
    const body = wrap(printable(text), terminal.width - 2).map((line) => `  ${line}`.trimEnd());
    return [...wrap(head, terminal.width).map((line) => terminal.style(isAsked ? "cyan" : "dim", line)), ...body, ""];
  });
  const more = [opened.hasBefore ? "more before" : "", opened.hasAfter ? "more after" : ""].filter((part) => part !== "");
  return [
    ...wrap(oneLine(opened.documentName), terminal.width).map((line) => terminal.style("bold", line)),
    "",
    ...passages,
    ...(more.length > 0 ? [terminal.style("dim", more.join(" · "))] : []),
  ];
}
