/** What happens to a handful of picked files, decided before any of them is read. Pure. */
import { documentBytesMax, filesPerCallMax, type Problem } from "../../../convex/model/document.ts";

/** A file with the name it will have: its path inside the dropped folder, or just its name. */
export type PickedFile = { readonly name: string; readonly file: Blob };

/** A batch is added as a whole, so it is kept small enough to be on the list within seconds. */
export const bytesPerBatchMax = 16 * 1024 * 1024;

/** Why a file is refused without being sent; undefined when it may be. */
export function findProblem(sizeBytes: number): Problem | undefined {
  if (sizeBytes === 0) return "empty";
  if (sizeBytes > documentBytesMax) return "tooLarge";
  return undefined;
}

/** Files in their order, in batches that are within the limits; a file larger than a batch has one to itself. */
export function planBatches<T extends { readonly sizeBytes: number }>(files: readonly T[]): T[][] {
  const batches: T[][] = [];
  let room = { files: 0, bytes: 0 };
  for (const file of files) {
    if (room.files === 0 || file.sizeBytes > room.bytes) {
      batches.push([]);
      room = { files: filesPerCallMax, bytes: bytesPerBatchMax };
    }
    batches.at(-1)?.push(file);
    room = { files: room.files - 1, bytes: room.bytes - file.sizeBytes };
  }
  return batches;
}

/** What systems leave in folders for themselves. Only asked about what came inside a dropped folder, never about a file picked by name. */
export function isLitter(path: string): boolean {
  return path
    .split("/")
    .some((part) => part.startsWith(".") || part === "__MACOSX" || part === "Thumbs.db" || part === "desktop.ini");
}
