/** `nika documents show`, `history` and `edit`: one document. */
import type { FunctionReturnType } from "convex/server";
import { api } from "../../convex/_generated/api.js";
import { contradictionSentence, type DocumentLabels, type DocumentView } from "../../convex/model/document.ts";
import type { Client } from "./client.ts";
import { meant } from "./documents.ts";
import type { Terminal } from "./terminal.ts";
import { countOf, oneLine, sizeOf, table } from "./text.ts";

type Detail = NonNullable<FunctionReturnType<typeof api.documents.detail>>;

export async function runShow(terminal: Terminal, client: Client, name: string, { json }: { json: boolean }): Promise<void> {
  const http = await client.http();
  const document = await meant(http, name);
  const [detail, pictures] = await Promise.all([
    http.query(api.documents.detail, { id: document.id }),
    http.query(api.pictures.ofDocument, { documentId: document.id }),
  ]);
  if (json) return terminal.json({ ...detail, pictures });
  if (detail) for (const line of detailLines(detail, terminal.width)) terminal.line(line);
}

export async function runHistory(terminal: Terminal, client: Client, name: string, { json }: { json: boolean }): Promise<void> {
  const http = await client.http();
  const document = await meant(http, name);
  const versions = await http.query(api.documents.history, { id: document.id });
  if (json) return terminal.json(versions);
  for (const line of versionLines(versions, terminal.width)) terminal.line(line);
}

export type EditOptions = { readonly labels: DocumentLabels; readonly json: boolean };

export async function runEdit(
  terminal: Terminal,
  client: Client,
  names: readonly string[],
  { labels, json }: EditOptions,
): Promise<void> {
  const http = await client.http();
  const documents: DocumentView[] = [];
  for (const name of names) documents.push(await meant(http, name));
  await http.mutation(api.documents.edit, { ids: documents.map(({ id }) => id), labels });
  if (json) return terminal.json({ edited: documents.map(({ id, name }) => ({ id, name })) });
  terminal.line(`Changed ${countOf(documents.length, "document")}; nothing needs to be read again.`);
}

function detailLines({ document, names, versions, alike, entries, parent, sha256 }: Detail, width: number): string[] {
  const { reading, labels } = document;
  const facts: [string, string | undefined][] = [
    ["Id", document.id],
    ["State", document.problem ? `${document.state}: ${document.problem.message}` : document.state],
    ["Title", labels?.title ?? reading?.title],
    ["Type", labels?.entityType ?? reading?.entityType],
    ["Language", labels?.language ?? reading?.language],
    ["Theme", labels?.domain],
    ["Scope", labels?.scope],
    ["Format", reading?.format],
    ["Size", sizeOf(document.sizeBytes)],
    ["Pages", reading?.pages?.toLocaleString("en-US")],
    ["Passages", reading?.passages.toLocaleString("en-US")],
    ["Pictures", reading?.pictures?.toLocaleString("en-US")],
    ["Tables", reading?.tables?.toLocaleString("en-US")],
    ["Author", reading?.author],
    ["Written", dayOf(reading?.writtenAt)],
    ["Added", dayOf(document.addedAt)],
    [
      "Recognised",
      reading?.recognised && `${countOf(reading.recognised.pages, "page")}, ${Math.round(reading.recognised.confidence)} % sure`,
    ],
    ["Came in", parent?.name],
    [
      "Holds",
      reading?.entries === undefined
        ? undefined
        : `${countOf(reading.entries, "file")}${reading.hasMore ? ", and more that were left out" : ""}`,
    ],
    ["Hash", sha256],
  ];
  const rows = facts
    .filter(([, value]) => value !== undefined && value !== "")
    .map(([term, value]) => [term, oneLine(value ?? "")]);
  return [
    oneLine(document.name),
    ...table(rows, { width, give: [1] }).map((line) => `  ${line}`),
    ...section("Also called", names.map(oneLine)),
    ...section("Versions", versions.length > 0 ? versionLines(versions, width) : []),
    ...section(
      "Almost the same as",
      alike.map(({ name, share }) => `${oneLine(name)} (${Math.round(share * 100)} %)`),
    ),
    ...section(
      "In it",
      entries.map(({ name, state }) => `${oneLine(name)} (${state})`),
    ),
    ...section("Found in it", (reading?.elements ?? []).map(elementLine)),
    ...section(
      "The text and a figure disagree",
      (reading?.contradictions ?? []).map((one) => oneLine(contradictionSentence(one))),
    ),
  ];
}

const elementLine = ({
  type,
  text,
  value,
  isValid,
}: {
  type: string;
  text: string;
  value: string;
  isValid?: boolean | undefined;
}): string => `${type}: ${oneLine(value || text)}${isValid === false ? " (does not check out)" : ""}`;

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`  ${title}:`, ...lines.map((line) => `    ${line}`)];
}

function versionLines(versions: readonly DocumentView[], width: number): string[] {
  const rows = versions.map(({ id, version = 1, state, sizeBytes, addedAt }) => [
    `version ${version}`,
    state === "ready" ? "in use" : state,
    dayOf(addedAt) ?? "",
    sizeOf(sizeBytes),
    id,
  ]);
  return table(rows, { width, give: [4], right: [3] });
}

function dayOf(at: number | undefined): string | undefined {
  return at === undefined ? undefined : new Date(at).toISOString().slice(0, 16).replace("T", " ");
}
