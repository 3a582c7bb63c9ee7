/** Tesseract as it is installed on the machine. */
import { execFile, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { setPriority } from "node:os";
import { NikaError } from "../../convex/model/error.ts";
import type { OcrPicture, OcrText } from "../../functions/ports/ocr.ts";
import { readTsv } from "./tsv.ts";

export type NativeTesseract = { readonly path: string; readonly version: string; readonly languages: ReadonlySet<string> };

/** Where systems put it. The search path is not asked: only what the system's own packages installed is run. */
const paths = ["/usr/bin/tesseract", "/usr/local/bin/tesseract", "/opt/homebrew/bin/tesseract"];
const timeLimitMs = 60_000;
const memoryMiBMax = 600;
const outputBytesMax = 16 * 1024 * 1024;
const watchMs = 50;
const politeness = 5;
/** One thread: several fight over small pictures and take longer together than one alone. */
const environment = { OMP_THREAD_LIMIT: "1", LC_ALL: "C" };

/** The installed program and its languages; undefined when there is none that works. */
export async function findTesseract(candidates: readonly string[] = paths): Promise<NativeTesseract | undefined> {
  for (const path of candidates) {
    if (!existsSync(path)) continue;
    const [version, list] = [await ask(path, "--version"), await ask(path, "--list-langs")];
    const number = /tesseract\s+v?(\d+(?:\.\d+)*)/iu.exec(version ?? "")?.[1];
    if (number === undefined || list === undefined) continue;
    const languages = list
      .split("\n")
      .slice(1)
      .map((line) => line.trim());
    return { path, version: number, languages: new Set(languages.filter((name) => /^[\w/]+$/u.test(name))) };
  }
  return undefined;
}

/** What the program says to one question; undefined when it fails. */
async function ask(path: string, question: string): Promise<string | undefined> {
  return await new Promise((resolve) => {
    execFile(path, [question], { env: environment, timeout: 20_000 }, (error, stdout, stderr) =>
      resolve(error ? undefined : stdout + stderr),
    );
  });
}

/**
 * Reads one picture in a process of its own: no shell, no environment, the picture by its input, words by its output. Undefined when it
 * takes too long or too much memory, or fails on this picture.
 */
export async function readNative(
  tesseract: NativeTesseract,
  picture: OcrPicture,
  { languages, signal }: { languages: readonly string[]; signal: AbortSignal },
): Promise<OcrText | undefined> {
  const mode = picture.type === "page" ? "3" : "11";
  const command = ["-l", languages.join("+"), "--psm", mode, "--oem", "1", "--dpi", "200", "tsv"];
  const output = await run(tesseract, picture, { command, signal });
  return output === undefined ? undefined : readTsv(output, picture);
}

/** What the program says of a page's script, in its words; undefined when it cannot tell. */
export async function readScript(
  tesseract: NativeTesseract,
  picture: OcrPicture,
  signal: AbortSignal,
): Promise<string | undefined> {
  return await run(tesseract, picture, { command: ["-l", "osd", "--psm", "0", "--dpi", "200"], signal });
}

async function run(
  { path }: NativeTesseract,
  picture: OcrPicture,
  { command, signal }: { command: readonly string[]; signal: AbortSignal },
): Promise<string | undefined> {
  if (signal.aborted) throw new NikaError("cancelled", "The work was cancelled.");
  const child = spawn(path, ["stdin", "stdout", ...command], {
    env: environment,
    stdio: ["pipe", "pipe", "ignore"],
    shell: false,
    cwd: "/",
  });
  const parts: Buffer[] = [];
  let bytes = 0;
  const kill = (): void => void child.kill("SIGKILL");
  const timer = setTimeout(kill, timeLimitMs);
  const watch = setInterval(() => residentMiB(child.pid) > memoryMiBMax && kill(), watchMs);
  signal.addEventListener("abort", kill, { once: true });
  try {
    if (child.pid !== undefined) setPriority(child.pid, politeness);
  } catch {
    // It may have ended already, or the system does not let us; neither matters.
  }
  const code = await new Promise<number | null>((resolve) => {
    child.once("error", () => resolve(null));
    child.once("close", (code) => resolve(code));
    child.stdin.on("error", () => {});
    child.stdout.on("data", (part: Buffer) => {
      bytes += part.length;
      if (bytes > outputBytesMax) kill();
      else parts.push(part);
    });
    child.stdin.end(picture.bytes);
  });
  clearTimeout(timer);
  clearInterval(watch);
  signal.removeEventListener("abort", kill);
  if (signal.aborted) throw new NikaError("cancelled", "The work was cancelled.");
  return code === 0 ? Buffer.concat(parts).toString("utf8") : undefined;
}

function residentMiB(pid: number | undefined): number {
  try {
    return (Number(readFileSync(`/proc/${pid}/statm`, "latin1").split(" ")[1]) * 4_096) / 1024 / 1024;
  } catch {
    return 0;
  }
}
