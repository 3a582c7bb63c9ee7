/**
 * A README or any prose as a service: its endpoints, where headings, tables, code and curl commands name them, with the tables and examples
 * that follow. By rules alone, in English and French; no model is asked. What is not said in such a form is not found.
 */
import { markdownBlocks } from "../../../ml/parse/markdown.ts";
import type { Block } from "../../../ml/parse/block.ts";
import { findRate, type Api, type Parameter } from "./api.ts";
import { curlsIn } from "./curl.ts";
import { addField, addQuery, decode, merged, prefixOf, shapeOf, toOperation, toPath, typeOf, type Draft } from "./draft.ts";
import { bodyOf, jsonIn, schemaOf, toBody } from "./example.ts";
import { groupOf } from "./openapi.ts";
import { baseIn, schemesIn } from "./service.ts";

const operationsMax = 2_000;
const methodWord = "GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS";
/** "GET /pets/{id}", "`POST https://api.example.com/v1/pets`". */
const endpoint = new RegExp(
  `(?:^|[^A-Za-z])(${methodWord})[\`\\s:|*]+((?:https?://[^\\s\`"'<>|)]{1,300})|(?:/[^\\s\`"'|)]{0,300}))`,
  "u",
);
const columns = {
  method: /^(?:http\s*)?(?:method|verb|m[ée]thode|verbe)$/iu,
  path: /^(?:path|endpoint|url|uri|route|resource|chemin|ressource|point d['’]acc[èe]s|adresse)$/iu,
  name: /^(?:name|parameters?|params?|field|key|argument|attribute|property|nom|param[èe]tres?|champ|cl[ée]|attribut|propri[ée]t[ée])$/iu,
  type: /^(?:types?|format)$/iu,
  required: /^(?:required|mandatory|optional|requise?|obligatoire|facultatif|optionnel)\??$/iu,
  place: /^(?:in|location|where|place|dans|emplacement|o[ùu])$/iu,
  about: /^(?:description|meaning|notes?|details?|purpose|signification|d[ée]tails?|r[ôo]le|explication)$/iu,
  fallback: /^(?:default|d[ée]faut|valeur par d[ée]faut)$/iu,
};
type Column = keyof typeof columns;

/** `from` is where it stands, for a service whose address it never says in whole. */
export async function toApi(text: string, from: URL | undefined): Promise<Api> {
  // A place written <id> would be taken for a tag.
  const { blocks, title } = await markdownBlocks(text.replace(/(?<=\w\/|\s\/|[`"']\/)<([A-Za-z_][\w-]{0,40})>/gu, "{$1}"));
  const drafts = new Map<string, Draft>();
  const servers = new Map<string, number>();
  const notes = new Set<string>();
  let current: Draft | undefined;
  let said = "";
  let place: Parameter["in"] | "body" | undefined;
  const headings: string[] = [];

  const open = (method: string, address: string, about: string): Draft | undefined => {
    const made = toPath(address);
    if (!made || drafts.size >= operationsMax) return undefined;
    if (made.server !== undefined) servers.set(made.server, (servers.get(made.server) ?? 0) + 1);
    const key = `${method} ${shapeOf(made.path)}`;
    const draft: Draft = drafts.get(key) ?? {
      method,
      path: made.path,
      server: made.server,
      summary: about,
      description: "",
      group: headings.findLast((one) => !endpoint.test(one)) ?? groupOf(made.path),
      parameters: new Map(),
      fields: new Map(),
      body: undefined,
      answer: undefined,
      isPublic: false,
    };
    drafts.set(key, draft);
    for (const [name, value] of made.query) addQuery(draft, name, value);
    return draft;
  };

  for (const block of blocks) {
    switch (block.type) {
      case "heading": {
        const found = endpoint.exec(block.text);
        headings.length = Math.min(headings.length, Math.max(0, block.level - 1));
        if (found) current = open(found[1] ?? "", found[2] ?? "", without(block.text, found[0])) ?? current;
        // A heading of another subject ends what was said of the last endpoint.
        else if (block.level <= 2) current = undefined;
        headings[block.level - 1] = block.text;
        said = block.text;
        place = placeIn(block.text);
        break;
      }
      case "paragraph": {
        const found = endpoint.exec(block.text);
        const isMention = found !== null && (found.index < 40 || /^\W*(?:http|endpoint|route)/iu.test(block.text));
        if (found && isMention) {
          const about = without(block.text, found[0]) || (endpoint.test(said) ? "" : said);
          current = open(found[1] ?? "", found[2] ?? "", about) ?? current;
        } else if (current && current.description === "" && !isLabel(block.text) && !/:\s*$/u.test(block.text))
          current.description = block.text;
        if (
          current &&
          /\b(?:no auth|without authentication|public endpoint|sans authentification|point d['’]acc[èe]s public)\b/iu.test(
            block.text,
          )
        )
          current.isPublic = true;
        said = block.text;
        place = placeIn(block.text) ?? place;
        break;
      }
      case "list":
        for (const item of block.items) {
          const found = endpoint.exec(item.text);
          if (found && found.index < 10) current = open(found[1] ?? "", found[2] ?? "", without(item.text, found[0])) ?? current;
          else if (current) addListed(current, item.text, place);
        }
        break;
      case "table":
        current = readTable(block, current, { open, place: placeIn(block.caption ?? "") ?? place });
        break;
      case "code":
        current = readCode(block.text, current, { said, open });
        break;
      case "record":
      case "figure":
      case "footnote":
        break;
      default:
        block satisfies never;
    }
  }
  const base = baseIn(text);
  const schemes = schemesIn(text);
  const ranked = [...servers].toSorted(([, left], [, right]) => right - left).map(([server]) => server);
  const known = base ?? prefixOf(ranked, [...drafts.values()]);
  if (known === undefined && from !== undefined) notes.add("It does not say where the service is.");
  notes.add("It is prose, read by rules: compare each tool with the document before you say yes.");
  const server = known === undefined ? undefined : known.replace(/\/+$/u, "");
  return {
    kind: "markdown",
    title: title ?? "",
    about: blocks.find((block) => block.type === "paragraph")?.text ?? "",
    version: "",
    servers: server === undefined ? [] : [server],
    schemes,
    operations: merged([...drafts.values()], server).map((draft) => toOperation(draft, server, schemes)),
    perMinute: findRate(text),
    notes: [...notes],
    root: {},
  };
}

type Opened = (method: string, address: string, about: string) => Draft | undefined;

const without = (text: string, part: string): string =>
  text
    .replace(part, " ")
    .replace(/^[\s:.\-–—`#*|>]+|[\s:\-–—`(|]+$/gu, "")
    .trim();

/** "Response:" and the like say what follows, not what it is about. */
const isLabel = (text: string): boolean =>
  text.length < 60 &&
  /^\W*(?:example|sample|response|request|returns|body|output|result|usage|curl|param|query|headers?|exemple|r[ée]ponse|requ[êe]te|corps|r[ée]sultat|en-t[êe]tes?)/iu.test(
    text,
  );

/** What stands before code, when it says what the code is about. */
const aboutCode = (said: string): string =>
  isLabel(said) || endpoint.test(said) ? "" : said.replace(/\s*:\s*$/u, "").slice(0, 120);

function placeIn(text: string): Parameter["in"] | "body" | undefined {
  if (text.length > 120) return undefined;
  if (/\b(?:query|url parameters|requ[êe]te \(query\)|cha[îi]ne de requ[êe]te)\b/iu.test(text)) return "query";
  if (/\b(?:path|chemin)\b/iu.test(text) && /param/iu.test(text)) return "path";
  if (/\b(?:headers?|en-t[êe]tes?)\b/iu.test(text)) return "header";
  return /\b(?:body|payload|json|corps)\b/iu.test(text) ? "body" : undefined;
}

/** Adds what a table says: endpoints, or parameters of the one before it. */
function readTable(
  table: Extract<Block, { type: "table" }>,
  current: Draft | undefined,
  { open, place }: { readonly open: Opened; readonly place: Parameter["in"] | "body" | undefined },
): Draft | undefined {
  const at = (kind: Column): number => table.columns.findIndex((name) => columns[kind].test(name.trim()));
  const cell = (row: readonly string[], kind: Column): string => (at(kind) === -1 ? "" : (row[at(kind)] ?? "").trim());
  if (at("path") !== -1 || table.rows.some((row) => row.some((one) => endpoint.test(one)))) {
    let last = current;
    for (const row of table.rows) {
      const whole = row.map((one) => endpoint.exec(one)).find(Boolean);
      const method = cell(row, "method").toUpperCase().replaceAll("`", "");
      const path = cell(row, "path").replaceAll("`", "");
      const about = cell(row, "about") || (row.findLast((one) => one !== method && one !== path && !endpoint.test(one)) ?? "");
      if (whole) last = open(whole[1] ?? "", whole[2] ?? "", about) ?? last;
      else if (new RegExp(`^(?:${methodWord})$`, "u").test(method) && /^(?:\/|https?:)/u.test(path))
        last = open(method, path, about) ?? last;
    }
    return last;
  }
  if (!current || at("name") === -1) return current;
  for (const row of table.rows) {
    const name = cell(row, "name").replaceAll("`", "").replace(/\*+$/u, "");
    if (!/^[\w.[\]-]{1,60}$/u.test(name)) continue;
    const word = `${cell(row, "required")} ${at("required") === -1 ? cell(row, "about") : ""}`;
    const isOptionalColumn = /^(?:optional|facultatif|optionnel)/iu.test(table.columns[at("required")] ?? "");
    const isYes = /^\s*(?:yes|y|true|required|mandatory|oui|vrai|obligatoire|requise?|✓|✔|x)\b|[✓✔✅]/iu.test(word);
    const isRequired =
      at("required") === -1 ? /\b(?:required|mandatory|obligatoire|requise?)\b/iu.test(word) : isYes !== isOptionalColumn;
    addField(
      current,
      { name, type: cell(row, "type"), about: cell(row, "about"), isRequired, fallback: cell(row, "fallback") },
      placeIn(cell(row, "place")) ?? plainPlace(cell(row, "place")) ?? place,
    );
  }
  return current;
}

const plainPlace = (text: string): Parameter["in"] | undefined =>
  (["path", "query", "header", "cookie"] as const).find((one) => text.toLowerCase().includes(one)) ??
  (/chemin/iu.test(text) ? "path" : /requ[êe]te/iu.test(text) ? "query" : undefined);

/** "limit (integer, required): how many". */
function addListed(draft: Draft, text: string, place: Parameter["in"] | "body" | undefined): void {
  const found = /^[`*]*([A-Za-z_][\w.-]{0,59})[`*]*\s*\(([^()]{1,60})\)\s*[:–—-]?\s*(.*)$/su.exec(text);
  if (!found) return;
  const [, name = "", marks = "", about = ""] = found;
  if (typeOf(marks) === undefined) return;
  const isRequired = /\b(?:required|obligatoire|requise?)\b/iu.test(marks);
  addField(draft, { name, type: marks, about, isRequired, fallback: "" }, place);
}

type Coding = { readonly said: string; readonly open: Opened };

/** Code names endpoints itself (curl, raw HTTP), or is an example of what the last one takes or answers. */
function readCode(code: string, current: Draft | undefined, { said, open }: Coding): Draft | undefined {
  let last = current;
  const curls = curlsIn(code);
  for (const curl of curls) {
    const draft = open(curl.method, decode(curl.url.href), aboutCode(said));
    if (!draft) continue;
    last = draft;
    draft.body ??= bodyOf(curl);
  }
  if (curls.length > 0) return last;
  const json = jsonIn(code);
  const lines = code.slice(0, 20_000).split("\n");
  const named = lines
    .map((line) => new RegExp(`^\\s*(${methodWord})\\s+((?:https?://|/)\\S*)`, "u").exec(line))
    .filter((one) => one !== null);
  if (named.length > 0 && !code.trimStart().startsWith("{")) {
    for (const found of named) last = open(found[1] ?? "", found[2] ?? "", aboutCode(said)) ?? last;
    const below = jsonIn(code.slice(code.search(/[\r\n]\s*[{[]/u)));
    if (last && named.length === 1 && below !== undefined) last.body ??= toBody(below);
    return last;
  }
  if (!last || json === undefined) return last;
  const isAnswer =
    /\b(?:respon[sd]|returns?|answer|output|result|r[ée]ponse|retourne|renvoie|r[ée]sultat)/iu.test(said) ||
    /^HTTP\/\d/u.test(code.trim());
  const isRequest = /\b(?:request|body|payload|send|corps|requ[êe]te|envoyer|param)/iu.test(said) && !isAnswer;
  const takes = ["POST", "PUT", "PATCH"].includes(last.method);
  if (takes && !last.body && (isRequest || (!isAnswer && !last.answer))) last.body = toBody(json);
  else last.answer ??= { status: 200, mediaType: "application/json", schema: schemaOf(json), example: json };
  return last;
}
