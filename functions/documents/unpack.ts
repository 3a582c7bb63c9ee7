import { createHash } from "node:crypto";
import { internal } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import { unpacking } from "../../convex/model/document.ts";
import type { Outcome } from "../../convex/model/job.ts";
import type { Call, Ports } from "../define.ts";
import type { Bytes, FileBytes } from "../ports/files.ts";
import type { Entry, Reading } from "../ports/reader.ts";

type Holder = {
  readonly file: { readonly name: string; readonly depth: number };
  readonly bytes: FileBytes;
  readonly reading: Extract<Reading, { type: "holder" }>;
};
type Numbered = Entry & { readonly entry: number };
type UnpackPorts = Pick<Ports, "state" | "files" | "reader">;

const entriesPerCall = 32;

/**
 * What lies in an archive or mailbox becomes documents of their own. Each is known by its position, so that doing this again after a
 * crash adds none twice, and goes on where it was.
 */
export async function unpack(
  { file, bytes, reading }: Holder,
  { args: { documentId }, signal, progress }: Call<"documents.ingest">,
  ports: UnpackPorts,
): Promise<Outcome> {
  if (file.depth >= unpacking.depthMax) return { type: "done", result: { type: "unreadable", problem: "bomb" } };
  // How many one may take out is known where it is counted, over everything in the outermost holder.
  let hasMore = false;
  let taken = 0;
  for (let from: number | undefined = 0; from !== undefined && !hasMore;) {
    const some: Awaited<ReturnType<typeof ports.reader.entries>> = await ports.reader.entries(bytes, {
      name: file.name,
      from,
      signal,
    });
    signal.throwIfAborted();
    const first: number = from;
    const entries = some.entries.map((entry, at) => ({ ...entry, entry: first + at }));
    for (let at = 0; at < entries.length && !hasMore; at += entriesPerCall) {
      const sent = await send(documentId, entries.slice(at, at + entriesPerCall), signal, ports);
      if (sent.isGone) return { type: "done" };
      hasMore = sent.isFull;
      taken += Math.min(entriesPerCall, entries.length - at);
      progress(Math.min(taken, reading.entries), reading.entries);
    }
    from = some.next;
  }
  const title = file.name.slice(file.name.lastIndexOf("/") + 1);
  const summary = { format: reading.format, title, language: "und", passages: 0, entries: taken };
  return { type: "done", result: { type: "read", reading: { ...summary, ...(hasMore && { hasMore }) } } };
}

/** Hands entries over; uploads only the bytes that are asked for. */
async function send(
  parentId: Id<"documents">,
  entries: readonly Numbered[],
  signal: AbortSignal,
  { state, files }: UnpackPorts,
): Promise<{ isFull: boolean; isGone: boolean }> {
  const facts = await Promise.all(
    entries.map(async ({ entry, name, bytes, problem }) => ({
      entry,
      name,
      sha256: await sha256Of(bytes, signal),
      sizeBytes: bytes instanceof Uint8Array ? bytes.length : bytes.sizeBytes,
      ...(problem && { problem }),
    })),
  );
  const answer = await state.mutation(internal.sources.unpack, { parentId, entries: facts, uploads: [] });
  if (answer.isGone || answer.missing.length === 0) return answer;
  const url = await state.mutation(internal.sources.uploadUrl, {});
  const uploads = [];
  for (const { entry, bytes } of entries.filter((one) => answer.missing.includes(one.entry))) {
    signal.throwIfAborted();
    uploads.push({ entry, storageId: (await files.write(url, bytes, { signal })) as Id<"_storage"> });
  }
  signal.throwIfAborted();
  return state.mutation(internal.sources.unpack, { parentId, entries: facts, uploads });
}

async function sha256Of(bytes: Bytes, signal: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  if (bytes instanceof Uint8Array) return hash.update(bytes).digest("hex");
  for await (const piece of bytes.pieces(signal)) hash.update(piece);
  return hash.digest("hex");
}
