import type { Attachment, Email } from "postal-mime";
import type { Block, ParsedDocument } from "./block.ts";
import type { Place } from "../../convex/model/place.ts";
import { UnreadableError } from "./unreadable.ts";
import { tidied } from "./decode.ts";
import { htmlBlocks } from "./html.ts";
import { textBlocks } from "./text.ts";

/** Mails in mails in mails: beyond three, nobody remembers what they searched for. */
const nestingMax = 3;
/** Attachments looked into, of one mail. */
const attachmentsMax = 100;
/** Bytes of attachments looked into, of one mail. */
const attachedBytesMax = 48 * 1024 * 1024;
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
): Promise<{ blocks: Block[]; title?: string }> {
  const mail = await open(bytes);
  const blocks: Block[] = [headerBlock(mail), ...(await bodyBlocks(mail))];
  let budget = attachedBytesMax;
  for (const attachment of mail.attachments.slice(0, attachmentsMax)) {
    const content = toBytes(attachment);
    budget -= content.length;
    if (budget < 0) break;
    blocks.push(...(await attachedBlocks(attachment, content, depth, parse)));
  }
  const title = tidied(mail.subject ?? "").trim();
  return title === "" ? { blocks } : { blocks, title };
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
  return mail.html ? (await htmlBlocks(tidied(mail.html), { part: bodyPart })).blocks : [];
}

/** Quoted text is part of what was said; only its marks go. */
function unquoted(text: string): string {
  return text.replaceAll(/^(?:> ?)+/gmu, "");
}

// oxlint-disable-next-line max-params -- private, and each is a different thing
async function attachedBlocks(attachment: Attachment, content: Uint8Array, depth: number, parse: ParseNested): Promise<Block[]> {
  const name = tidied(attachment.filename ?? (attachment.mimeType === "message/rfc822" ? "message.eml" : "attachment"));
  if (depth + 1 >= nestingMax) return [];
  try {
    const { blocks } = await parse(content, name, depth + 1);
    return inPart(blocks, name);
  } catch (error) {
    if (error instanceof UnreadableError) return [];
    throw error;
  }
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
