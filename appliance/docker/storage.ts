/** Weighs what sandboxes store on this machine: the engine bounds no folder that is mounted. */
import { lstat, opendir } from "node:fs/promises";
import { join } from "node:path";

const everyMs = 1_000;
/** More than these are too many, however small. */
const entriesMax = 100_000;

/** Calls `over` once when there is more in the folder than may be; returns how to stop looking. */
export function watchStorage(folder: string, bytesMax: number, over: () => void): () => void {
  let isOver = false;
  let isLooking = false;
  const look = async (): Promise<void> => {
    if (isLooking) return;
    isLooking = true;
    const fits = await fitsIn(folder, bytesMax);
    isLooking = false;
    if (fits || isOver) return;
    isOver = true;
    clearInterval(timer);
    over();
  };
  const timer = setInterval(() => void look(), everyMs).unref();
  return () => clearInterval(timer);
}

/** Whether what is in a folder takes at most so many bytes of disk. Links are not followed; what vanishes meanwhile weighs nothing. */
export async function fitsIn(folder: string, bytesMax: number): Promise<boolean> {
  let bytes = 0;
  let entries = 0;
  const folders = [folder];
  for (let next = folders.pop(); next !== undefined; next = folders.pop()) {
    const dir = await opendir(next).catch(() => undefined);
    if (!dir) continue;
    try {
      for await (const entry of dir) {
        const path = join(next, entry.name);
        const facts = await lstat(path).catch(() => undefined);
        bytes += (facts?.blocks ?? 0) * 512;
        if (bytes > bytesMax || ++entries > entriesMax) return false;
        if (entry.isDirectory()) folders.push(path);
      }
    } catch {
      // It was taken away while we looked.
    }
  }
  return true;
}
