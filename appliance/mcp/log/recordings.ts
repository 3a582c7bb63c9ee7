/**
 * What servers answered, where the owner wants it kept: files named by the hash of their content, so that the same answer is kept once. Secrets are
 * taken out first. Bounded: the oldest go.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import type { Result } from "@modelcontextprotocol/server";
import { withoutSecrets, withTexts } from "../../../convex/model/scan.ts";
import { canonicalJson, type ToolDefinition } from "../../../convex/model/tool.ts";
import { sha256 } from "../pool/kept.ts";

/** One answer as it is kept. */
export type Recording = {
  /** The public name it was called by. */
  readonly as: string;
  readonly server: string;
  readonly tool: ToolDefinition;
  readonly args: unknown;
  readonly result: Result;
};
export type Recordings = {
  /** Its name, or undefined for what is too large to be kept. */
  keep(recording: Recording): string | undefined;
};

export const recordingsDir = (dataDir: string): string => join(dataDir, "mcp", "recordings");
const bodyCharsMax = 1024 * 1024;
const totalBytesMax = 256 * 1024 * 1024;
/** Room is made for some more than one, so that it is not made each time. */
const keptShare = 0.9;

export type RecordingsOptions = { readonly dir: string; readonly log: (line: string) => void; readonly bytesMax?: number };

export function openRecordings({ dir, log, bytesMax = totalBytesMax }: RecordingsOptions): Recordings {
  let totalBytes: number | undefined;

  function makeRoom(): void {
    const files = readdirSync(dir).map((name) => ({ name, ...statOf(join(dir, name)) }));
    totalBytes = files.reduce((sum, { size }) => sum + size, 0);
    if (totalBytes <= bytesMax) return;
    for (const { name, size } of files.toSorted((left, right) => left.mtimeMs - right.mtimeMs)) {
      if (totalBytes <= keptShare * bytesMax) break;
      rmSync(join(dir, name), { force: true });
      totalBytes -= size;
    }
  }

  return {
    keep(recording) {
      const text = canonicalJson(withTexts(recording, withoutSecrets));
      if (text.length > bodyCharsMax) return undefined;
      const name = sha256(text);
      try {
        mkdirSync(dir, { recursive: true, mode: 0o700 });
        const file = join(dir, `${name}.json.gz`);
        if (statOf(file).size > 0) {
          // Used again: it is not among the oldest any more.
          utimesSync(file, new Date(), new Date());
          return name;
        }
        const bytes = gzipSync(text, { level: 1 });
        writeFileSync(file, bytes, { mode: 0o600 });
        if (totalBytes === undefined || (totalBytes += bytes.length) > bytesMax) makeRoom();
        return name;
      } catch (error) {
        log(`mcp: an answer could not be recorded (${error instanceof Error ? error.message : String(error)})`);
        return undefined;
      }
    },
  };
}

function statOf(file: string): { readonly size: number; readonly mtimeMs: number } {
  const stat = statSync(file, { throwIfNoEntry: false });
  return { size: stat?.size ?? 0, mtimeMs: stat?.mtimeMs ?? 0 };
}

/** Undefined when it made room for others, or is not what was kept under that name. */
export function readRecording(dir: string, name: string): Recording | undefined {
  try {
    const text = gunzipSync(readFileSync(join(dir, `${name}.json.gz`)), { maxOutputLength: 8 * bodyCharsMax }).toString("utf8");
    return sha256(text) === name ? (JSON.parse(text) as Recording) : undefined;
  } catch {
    return undefined;
  }
}
