import type { Block, Facts } from "./block.ts";
import type { Place } from "../../convex/model/place.ts";
import { HtmlReader, rawText } from "./htmlReader.ts";
import { factsOf, toTime } from "./office/package.ts";
import { withPictures } from "./pictures.ts";

type HtmlOptions = {
  readonly place?: Place;
  /** Keeps the picture at an address; undefined when there is none to be had. Without it pictures are their alternative text. */
  readonly keep?: (source: string, caption: string | undefined) => Promise<number | undefined>;
};

/**
 * HTML as blocks, from parse5's tokenizer alone. No tree is built: text, headings and tables need none, a hundred thousand nested
 * elements cost no stack, and a page takes memory for its text only. Scripts, styles, navigation and hidden parts are left out.
 */
export async function htmlBlocks(
  source: string,
  { place = {}, keep }: HtmlOptions = {},
): Promise<{ blocks: Block[]; title?: string; facts?: Facts }> {
  const { Tokenizer, TokenizerMode } = await import("parse5");
  const run = (skipsHidden: boolean): HtmlReader => {
    const reader = new HtmlReader(place, { skipsHidden, keepsPictures: keep !== undefined });
    const tokenizer = new Tokenizer(
      { sourceCodeLocationInfo: false },
      {
        onComment: () => {},
        onDoctype: () => {},
        onEof: () => reader.finish(),
        onCharacter: ({ chars }) => reader.addText(chars),
        onNullCharacter: () => {},
        onWhitespaceCharacter: ({ chars }) => reader.addText(chars),
        onEndTag: ({ tagName }) => reader.closeTag(tagName),
        onStartTag: (tag) => {
          // The tree builder would tell the tokenizer what kind of text follows; without one this is our duty.
          if (tag.tagName === "title" || tag.tagName === "textarea") tokenizer.state = TokenizerMode.RCDATA;
          else if (tag.tagName === "script") tokenizer.state = TokenizerMode.SCRIPT_DATA;
          else if (rawText.has(tag.tagName)) tokenizer.state = TokenizerMode.RAWTEXT;
          reader.openTag(tag);
        },
      },
    );
    // In slices: the tokenizer's preprocessor copies what it is given.
    for (let at = 0; at < source.length; at += sliceChars)
      tokenizer.write(source.slice(at, at + sliceChars), at + sliceChars >= source.length);
    if (source.length === 0) reader.finish();
    return reader;
  };
  const first = run(true);
  // An element that never ends would hide the rest of the page; then hidden parts are shown rather than the page lost.
  const reader = first.isStuck ? run(false) : first;
  const blocks = await withPictures(reader.blocks, keep ?? (async () => undefined));
  const { author, date } = reader.meta;
  const facts = factsOf({ author, writtenAt: toTime(date), people: author === undefined ? [] : [author] });
  return { blocks, ...(reader.title !== "" && { title: reader.title }), ...(facts && { facts }) };
}

const sliceChars = 1 << 16;
