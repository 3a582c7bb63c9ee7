/** Uploads of rows, in parts, and their way into tables: uploaded, confirmed, done. What is under way is told as a live setting. */
import { randomBytes } from "node:crypto";
import { createReadStream, createWriteStream, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { setTimeout as pause } from "node:timers/promises";
import { DeveloperError, toInteger, type Json } from "../codec/value.ts";
import { isNikaError } from "../../../convex/model/error.ts";
import type { Core } from "../core.ts";
import { fullDiskMessage, isDiskFull } from "../store/full.ts";
import { planImport, summarize, type Asked } from "./importPlan.ts";
import type { ImportMode, ImportWork } from "./importTables.ts";
import { metaKeys } from "./systemQueries.ts";

export type Imports = {
  start(): { readonly uploadToken: string };
  /** A part that is sent twice counts once. */
  part(token: string, number: number, bytes: Uint8Array): string;
  finish(token: string, asked: Readonly<Record<string, unknown>>): Promise<{ readonly importId: string }>;
  perform(importId: string): Promise<void>;
};

/** As many as the command line sends at most. */
const partsMax = 10_000;
/** Between two looks whether the disk has room again. */
const roomEveryMs = 1000;
const modes = new Set(["requireEmpty", "append", "replace", "replaceAll"]);

export function openImports({ core, dir, log }: { core: Core; dir: string; log: (line: string) => void }): Imports {
  const folder = join(dir, "imports");
  // What an earlier process left behind is of no use to anybody.
  rmSync(folder, { recursive: true, force: true });
  core.administer?.({ type: "endImports" }).catch((error: unknown) => log(`import: ${String(error)}`));
  const waiting = new Map<string, ImportWork>();
  const folderOf = (token: string): string => {
    const found = join(folder, /^[0-9a-f]{32}$/.test(token) ? token : "none");
    if (existsSync(found)) return found;
    throw new DeveloperError("This upload is not known; start it again.");
  };
  const tell = async (importId: string, state: Json): Promise<void> => {
    const text = JSON.stringify({ importId, state });
    await core.administer?.({ type: "writeMeta", changes: [[metaKeys.imports + importId, text]] });
  };
  /** Whoever waits for the end of an import must hear of it, though there be no room to say so yet. */
  const tellEnd = async (importId: string, state: Json): Promise<void> => {
    for (;;) {
      try {
        return await tell(importId, state);
      } catch (error) {
        if (!isNikaError(error) || error.code !== "full") throw error;
        await pause(roomEveryMs, undefined, { ref: false });
      }
    }
  };
  const run = async (importId: string, work: ImportWork): Promise<void> => {
    try {
      const count = await core.administer?.({ type: "import", ...work });
      await tellEnd(importId, { state: "completed", num_rows_written: toInteger(BigInt(count ?? 0)) });
    } catch (error) {
      if (!(error instanceof DeveloperError)) log(`import: ${(error as Error).message}`);
      core
        .administer?.({ type: "forgetBlobs", sha256s: (work.files ?? []).map((one) => one.sha256) })
        .catch((problem: unknown) => log(`import: ${String(problem)}`));
      await tellEnd(importId, { state: "failed", error_message: failure(error) });
    } finally {
      rmSync(join(folder, importId), { recursive: true, force: true });
    }
  };
  /** May take long for a large file; the command line waits for what it says. */
  const prepare = async (token: string, asked: Asked, upload: Upload): Promise<void> => {
    try {
      const file = await joined(upload);
      const plan = await planImport(asked, file);
      const held = JSON.parse((await core.administer?.({ type: "countRows" })) ?? "{}") as Record<string, number>;
      const { message, deletes } = summarize(plan, held);
      waiting.set(token, plan.work);
      await tell(token, {
        state: "waiting_for_confirmation",
        message_to_confirm: message,
        require_manual_confirmation: deletes,
      });
    } catch (error) {
      if (!(error instanceof DeveloperError)) log(`import: ${(error as Error).message}`);
      rmSync(join(folder, token), { recursive: true, force: true });
      await tellEnd(token, { state: "failed", error_message: failure(error) });
    }
  };
  return {
    start: () => {
      const uploadToken = randomBytes(16).toString("hex");
      mkdirSync(join(folder, uploadToken), { recursive: true, mode: 0o700 });
      return { uploadToken };
    },
    part: (token, number, bytes) => {
      if (!Number.isInteger(number) || number < 1 || number > partsMax)
        throw new DeveloperError(`The parts of an upload are numbered from 1 to ${partsMax}.`);
      writeFileSync(join(folderOf(token), `part.${number}`), bytes, { mode: 0o600 });
      return String(number);
    },
    finish: async (token, request) => {
      const uploaded = folderOf(token);
      const { mode, format, tableName, componentPath } = (request["import"] ?? {}) as Record<string, unknown>;
      const parts = Array.isArray(request["partTokens"]) ? request["partTokens"].map(Number) : [];
      if (componentPath) throw new DeveloperError("Components are not supported by the embedded engine yet.");
      if (typeof mode !== "string" || !modes.has(mode))
        throw new DeveloperError("An import appends, replaces, or finds no rows.");
      await tell(token, { state: "uploaded" });
      const asked = {
        mode: mode as ImportMode,
        format: typeof format === "string" ? format : "no format",
        tableName: typeof tableName === "string" ? tableName : undefined,
      };
      prepare(token, asked, { folder: uploaded, parts }).catch((error: unknown) => log(`import: ${String(error)}`));
      return { importId: token };
    },
    perform: async (importId) => {
      const work = waiting.get(importId);
      if (!work) throw new DeveloperError("This import is not waiting to be performed.");
      waiting.delete(importId);
      try {
        await tell(importId, { state: "in_progress", progress_message: "Importing", checkpoint_messages: [] });
      } catch (error) {
        waiting.set(importId, work);
        throw error;
      }
      run(importId, work).catch((error: unknown) => log(`import: ${String(error)}`));
    },
  };
}

function failure(error: unknown): string {
  return `Hit an error while importing:\n${isDiskFull(error) ? fullDiskMessage : (error as Error).message}`;
}

type Upload = { readonly folder: string; readonly parts: readonly number[] };

/** The parts in order, as one file. */
async function joined({ folder, parts }: Upload): Promise<string> {
  const file = join(folder, "upload");
  writeFileSync(file, "", { mode: 0o600 });
  for (const number of parts) {
    const part = join(folder, `part.${number}`);
    if (!existsSync(part)) throw new DeveloperError(`Part ${number} of the upload is missing; start it again.`);
    await pipeline(createReadStream(part), createWriteStream(file, { flags: "a" }));
    await rm(part);
  }
  return file;
}
