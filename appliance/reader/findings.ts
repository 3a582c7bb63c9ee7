import type { Reading } from "../../functions/ports/reader.ts";
import type { Block, ParsedDocument } from "../../ml/parse/block.ts";
import { contradictionsIn } from "../../ml/parse/elements/contradictions.ts";
import { elementsIn, type TextPart } from "../../ml/parse/elements/elements.ts";

/** The first few facts are told of a document; all of them are in its passages. */
const elementsMax = 50;

type Findings = Pick<
  Extract<Reading, { type: "read" }>,
  "author" | "writtenAt" | "people" | "pictures" | "tables" | "recognised" | "elements" | "contradictions"
>;

/** What a document says beside its passages. */
export async function findingsOf(document: ParsedDocument): Promise<Findings> {
  const { facts, pictures, recognised, blocks } = document;
  const tables = blocks.filter((block) => block.type === "table").length;
  const elements = [...(document.elements ?? []), ...(await elementsIn(blocks.map(textPart)))];
  const contradictions = contradictionsIn(blocks);
  return {
    ...(facts?.author !== undefined && { author: facts.author }),
    ...(facts?.writtenAt !== undefined && { writtenAt: facts.writtenAt }),
    ...(facts?.people !== undefined && facts.people.length > 0 && { people: facts.people }),
    ...(pictures && pictures.length > 0 && { pictures }),
    ...(tables > 0 && { tables }),
    ...(recognised && { recognised }),
    ...(elements.length > 0 && { elements: elements.slice(0, elementsMax) }),
    ...(contradictions.length > 0 && { contradictions }),
  };
}

function textPart(block: Block): TextPart {
  return { text: textOf(block), page: block.place.page };
}

function textOf(block: Block): string {
  if (block.type === "table")
    return [block.caption ?? "", block.columns.join(" · "), ...block.rows.map((row) => row.join(" · "))].join("\n");
  if (block.type === "list") return block.items.map((item) => item.text).join("\n");
  if (block.type === "figure") return [block.caption, block.text].filter(Boolean).join("\n");
  return block.text;
}
