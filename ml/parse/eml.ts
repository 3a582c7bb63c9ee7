import type { Attachment, Email } from "postal-mime";
import type { Block, Facts, ParsedDocument, Picture } from "./block.ts";
import type { Place } from "../../convex/model/place.ts";
import { UnreadableError } from "./unreadable.ts";
import { tidied } from "./decode.ts";
import { openHolder } from "./archive/holder.ts";
import { htmlBlocks } from "./html.ts";
import { factsOf, toTime } from "./office/package.ts";
import { textBlocks } from "./text.ts";

/** Mails in mails in mails: beyond three, nobody remembers what they searched for. */
const nestingMax = 3;
/** Attachments looked into, of one mail. */
const attachmentsMax = 100;
/** Bytes of attachments looked into, of one mail, unpacked. */
const attachedBytesMax = 48 * 1024 * 1024;
/** Files looked into in an attached archive. */
const archivedMax = 200;
const picturesMax = 200;
/** As postal-mime's own default, said here because it is what stands against deep MIME trees. */
const mimeNestingMax = 64;

type ParseNested = (bytes: Uint8Array, name: string, depth: number) => Promise<ParsedDocument>;

/**
 * A mail: who, when and what about, then its body with quoted text kept, then each attachment that can be read, as a part of its
 * own. An attachment that cannot be read is named and left out; it does not make the mail unreadable.
 */
export async function mailBlocks(
  bytes: Uint8Array,
  depth: number,
  parse: ParseNested,
): Promise<{ blocks: Block[]; title?: string; facts?: Facts; pictures?: readonly Picture[] }> {
  const mail = await open(bytes);
  const gathered: Gathered = { blocks: [headerBlock(mail), ...(await bodyBlocks(mail))], pictures: [], budget: attachedBytesMax };
  for (const attachment of mail.attachments.slice(0, attachmentsMax)) {
    if (depth + 1 >= nestingMax) break;
    const name = tidied(attachment.filename ?? (attachment.mimeType === "message/rfc822" ? "message.eml" : "attachment"));
    // Pictures of a signature or a newsletter are named by nobody.
    if (attachment.related === true && attachment.filename === null && attachment.mimeType.startsWith("image/")) continue;
    await attach(gathered, toBytes(attachment), { name, parse: async (content, name) => await parse(content, name, depth + 1) });
    if (gathered.budget < 0) break;
  }
  const { blocks, pictures } = gathered;
  const title = tidied(mail.subject ?? "").trim();
  const facts = factsOfMail(mail);
  return { blocks, ...(title !== "" && { title }), ...(facts && { facts }), ...(pictures.length > 0 && { pictures }) };
}

type Gathered = { readonly blocks: Block[]; readonly pictures: Picture[]; budget: number };
type Attached = { readonly name: string; readonly parse: (bytes: Uint8Array, name: string) => Promise<ParsedDocument> };

/** Adds what stands in an attachment, or in each file of an attached archive. What cannot be read is named in the header only. */
async function attach(gathered: Gathered, content: Uint8Array, { name, parse }: Attached): Promise<void> {
  gathered.budget -= content.length;
  if (gathered.budget < 0) return;
  try {
    const holder = await openHolder(content, name);
    if (!holder) {
      addDocument(gathered, await parse(content, name), name);
      return;
    }
    const { entries } = await holder.read(0, gathered.budget);
    for (const entry of entries.slice(0, archivedMax)) {
      gathered.budget -= entry.bytes.length;
      if (entry.problem !== undefined || gathered.budget < 0) continue;
      // An archive in an archive in a mail is named, not opened.
      const document = await parse(entry.bytes, entry.name).catch(passOver);
      if (document) addDocument(gathered, document, `${name} › ${entry.name}`);
    }
  } catch (error) {
    passOver(error);
  }
}

function addDocument({ blocks, pictures }: Gathered, document: ParsedDocument, part: string): void {
  const first = pictures.length;
  for (const block of inPart(document.blocks, part)) {
    if (block.type === "figure" && block.picture !== undefined) {
      const { picture, ...rest } = block;
      blocks.push(first + picture < picturesMax ? { ...rest, picture: first + picture } : rest);
    } else blocks.push(block);
  }
  pictures.push(...(document.pictures ?? []).slice(0, picturesMax - first));
}

function passOver(error: unknown): undefined {
  if (!(error instanceof UnreadableError)) throw error;
  return undefined;
}

function factsOfMail(mail: Email): Facts | undefined {
  const names = (list: readonly { name?: string; address?: string | undefined }[] | undefined): string[] =>
    (list ?? [])
      .slice(0, 50)
      .map(({ name, address }) => tidied([name, address && `<${address}>`].filter(Boolean).join(" ")).slice(0, 300));
  const [author] = names(mail.from && [mail.from]);
  const people = [...new Set([...(author === undefined ? [] : [author]), ...names(mail.to), ...names(mail.cc)])].filter(Boolean);
  return factsOf({ author, writtenAt: toTime(mail.date), people: people.slice(0, 50) });
}

async function open(bytes: Uint8Array): Promise<Email> {
  const { default: PostalMime } = await import("postal-mime");
  try {
    // Attached mails stay attachments, so that the depth and byte budgets hold for them too.
    return await PostalMime.parse(bytes, {
      maxNestingDepth: mimeNestingMax,
      forceRfc822Attachments: true,
      attachmentEncoding: "arraybuffer",
    });
  } catch (error) {
    throw new UnreadableError("damaged", { cause: error });
  }
}

function headerBlock(mail: Email): Block {
  const people = (list: readonly { name?: string; address?: string | undefined }[] | undefined): string =>
    (list ?? [])
      .slice(0, 50)
      .map(({ name, address }) => [name, address && `<${address}>`].filter(Boolean).join(" "))
      .join(", ");
  const lines = [
    ["From", people(mail.from && [mail.from])],
    ["To", people(mail.to)],
    ["Cc", people(mail.cc)],
    ["Date", (mail.date ?? "").replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d).*Z$/u, "$1 $2 UTC").slice(0, 40)],
    ["Subject", mail.subject ?? ""],
    [
      "Attachments",
      mail.attachments
        .slice(0, 50)
        .map((attachment) => attachment.filename ?? "")
        .filter(Boolean)
        .join(", "),
    ],
  ];
  const text = lines
    .filter(([, value]) => value !== "")
    .map(([name, value]) => `${name}: ${value}`)
    .join("\n");
  return { type: "paragraph", text: tidied(text), place: { part: bodyPart } };
}

const bodyPart = "body";

async function bodyBlocks(mail: Email): Promise<Block[]> {
  const text = tidied(mail.text ?? "");
  if (text.trim() !== "") return inPart(textBlocks(unquoted(text)), bodyPart);
  return mail.html ? (await htmlBlocks(tidied(mail.html), { place: { part: bodyPart } })).blocks : [];
}

/** Quoted text is part of what was said; only its marks go. */
function unquoted(text: string): string {
  return text.replaceAll(/^(?:> ?)+/gmu, "");
}

/** Lines inside a mail's part cannot be looked up in the file, so only the part is said; pages and rows hold inside it. */
function inPart(blocks: readonly Block[], part: string): Block[] {
  return blocks.map((block) => {
    const { lines: _, part: inner, ...place } = block.place;
    const named: Place = { ...place, part: inner === undefined || inner === bodyPart ? part : `${part} › ${inner}` };
    return { ...block, place: named };
  });
}

function toBytes({ content }: Attachment): Uint8Array {
  if (typeof content === "string") return new TextEncoder().encode(content);
  return content instanceof Uint8Array ? content : new Uint8Array(content);
}
