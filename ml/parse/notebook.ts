import type { Block } from "./block.ts";
import { tidied } from "./decode.ts";
import { markdownBlocks } from "./markdown.ts";
import type { PictureKeeper } from "./pictures.ts";

/** Text of one output that is kept: enough to find it by, not a training run's whole log. */
const outputCharsMax = 20_000;

/** A notebook: its prose as Markdown, its code as code, what the code said as code without a language, its plots as pictures. */
export async function notebookBlocks(
  source: string,
  keeper: PictureKeeper,
): Promise<{ blocks: Block[]; title?: string } | undefined> {
  const notebook = parse(source);
  if (!notebook || !Array.isArray(notebook["cells"])) return undefined;
  const metadata = asObject(notebook["metadata"]);
  const language =
    asText(asObject(metadata["language_info"])["name"] ?? asObject(metadata["kernelspec"])["language"]) || "python";
  const blocks: Block[] = [];
  for (const [at, raw] of notebook["cells"].entries()) {
    const cell = asObject(raw);
    const place = { records: { from: at + 1, to: at + 1 } };
    const text = tidied(asText(cell["source"]));
    if (cell["cell_type"] === "markdown") {
      for (const block of (await markdownBlocks(text)).blocks) blocks.push({ ...block, place });
    } else if (cell["cell_type"] === "code") {
      if (text.trim() !== "") blocks.push({ type: "code", text, language, place });
      const outputs = Array.isArray(cell["outputs"]) ? cell["outputs"] : [];
      for (const [number, output] of outputs.entries())
        blocks.push(...(await outputBlocks(asObject(output), { place, keeper, key: `${at}.${number}` })));
    } else if (text.trim() !== "") blocks.push({ type: "paragraph", text, place });
  }
  const heading = blocks.find((block) => block.type === "heading");
  return heading?.type === "heading" ? { blocks, title: heading.text } : { blocks };
}

type Cell = { readonly place: Block["place"]; readonly keeper: PictureKeeper; readonly key: string };

async function outputBlocks(output: Record<string, unknown>, { place, keeper, key }: Cell): Promise<Block[]> {
  const data = asObject(output["data"]);
  const image = asText(data["image/png"] ?? data["image/jpeg"]);
  const said =
    output["output_type"] === "error"
      ? [asText(output["ename"]), asText(output["evalue"])].join(": ")
      : asText(output["text"] ?? data["text/plain"]);
  // Colours of a terminal are no text.
  // oxlint-disable-next-line no-control-regex -- the escape character is what is looked for
  const text = tidied(said.replaceAll(/\u001b\[[\d;]*m/gu, "")).slice(0, outputCharsMax);
  if (image !== "") {
    const picture = await keeper.add(Buffer.from(image, "base64"), { key });
    if (picture !== undefined)
      return [
        { type: "figure", picture, ...(text.trim() !== "" && !text.startsWith("<") && { caption: text.slice(0, 500) }), place },
      ];
  }
  return text.trim() === "" ? [] : [{ type: "code", text, place }];
}

function parse(source: string): Record<string, unknown> | undefined {
  try {
    return asObject(JSON.parse(source));
  } catch {
    return undefined;
  }
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

/** Text is kept as one string or as its lines. */
function asText(value: unknown): string {
  if (typeof value === "string") return value;
  return Array.isArray(value) ? value.filter((line) => typeof line === "string").join("") : "";
}
