/** Payloads run elsewhere or here: packed, asked for under their key, followed to their end, and their results laid out. */
import { createHash } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { internal } from "../../convex/_generated/api.js";
import { codes, NikaError, type Code } from "../../convex/model/error.ts";
import { isJobOver, type GpuAsk, type GpuJobView } from "../../convex/model/gpuJob.ts";
import type { Gpu, Payload } from "../../functions/ports/gpu.ts";
import type { State } from "../../functions/ports/state.ts";
import { parcelVariable } from "./door/office.ts";
import type { Shelf } from "./door/shelf.ts";

export type RunOptions = { readonly state: State; readonly shelf: Shelf; readonly dataDir: string };

const tailLines = 20;

/** What is asked of the control plane for a folder and a command. The folder is packed by now. */
export async function askFor(payload: Omit<Payload, "key"> & { readonly key?: string }, shelf: Shelf): Promise<GpuAsk> {
  const { key, label, folder, command, image, environment = {}, need, runMsMax, costMax } = payload;
  const reserved = Object.keys(environment).find((name) => name.startsWith("NIKA_"));
  if (reserved !== undefined) throw new NikaError("invalid", `${reserved} is a name that Nika uses itself; choose another.`);
  const { name } = await shelf.pack(folder);
  return {
    label,
    ...(key !== undefined && { key }),
    command: [...command],
    ...(image !== undefined && { image }),
    environment: { ...environment, [parcelVariable]: name },
    need,
    runMsMax,
    ...(costMax && { costMax }),
  };
}

export function openGpu({ state, shelf, dataDir }: RunOptions): Gpu {
  const keysDir = join(dataDir, "gpu", "keys");
  const fileOf = (key: string): string => join(keysDir, createHash("sha256").update(key).digest("hex"));

  /** The job of this key, as long as it may come to something. */
  async function jobOf(payload: Payload): Promise<string> {
    const known = await readFile(fileOf(payload.key), "utf8").catch(() => undefined);
    if (known !== undefined) {
      const view = await state.query(internal.gpuJobs.view, { id: known });
      if (view && (!isJobOver(view.state) || (view.state === "succeeded" && shelf.results(known) !== undefined))) return known;
    }
    const ask = await askFor(payload, shelf);
    const id = await state.mutation(internal.gpuJobs.add, { ask });
    await mkdir(keysDir, { recursive: true, mode: 0o700 });
    await writeFile(`${fileOf(payload.key)}.tmp`, id);
    await rename(`${fileOf(payload.key)}.tmp`, fileOf(payload.key));
    return id;
  }

  return {
    async run(payload, { signal, output }) {
      const id = await jobOf(payload);
      const lines = lineReader(output);
      await follow(state, id, { signal, text: lines.take });
      lines.end();
      const found = await state.query(internal.gpuJobs.results, { id });
      if (!found) throw new NikaError("missing", "The job was forgotten.");
      const { view, facts } = found;
      if (view.state !== "succeeded") throw failureOf(view, lines.tail());
      const folder = shelf.results(id);
      if (folder === undefined) throw new NikaError("missing", "Its results were cleared away; run it again.");
      return { folder, facts };
    },
  };
}

type Following = { readonly signal: AbortSignal; readonly text: (text: string) => void };

/** Hands on output as it comes, and resolves when the job is over. Fails with `cancelled` when the signal fires; the job goes on. */
async function follow(state: State, id: string, { signal, text }: Following): Promise<void> {
  let at = { attempt: 0, offset: 0 };
  let reading = Promise.resolve();
  /** Everything there is now; one reading after the other. */
  const read = (): Promise<void> => {
    reading = reading.then(async () => {
      for (;;) {
        const { attempt, text: said, next } = await state.query(internal.gpuJobs.logFor, { id, offset: at.offset });
        if (attempt !== at.attempt) {
          at = { attempt, offset: 0 };
          if (next > 0) continue;
        }
        if (said === "") return;
        at = { attempt, offset: next };
        text(said);
      }
    });
    return reading;
  };
  await new Promise<void>((resolve, reject) => {
    const close = (): void => {
      stop();
      signal.removeEventListener("abort", onAbort);
    };
    const onAbort = (): void => {
      close();
      reject(new NikaError("cancelled", "Nobody waits for it any more; the job itself goes on."));
    };
    const stop = state.watch(
      internal.gpuJobs.view,
      { id },
      (view) => {
        void read().then(
          () => {
            if (view && !isJobOver(view.state)) return;
            close();
            resolve();
          },
          (error: unknown) => {
            close();
            reject(error instanceof Error ? error : new Error(String(error)));
          },
        );
      },
      () => undefined,
    );
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
}

function lineReader(output: (line: string) => void) {
  let rest = "";
  let last: string[] = [];
  const one = (line: string): void => {
    last = [...last, line].slice(-tailLines);
    output(line);
  };
  return {
    take(text: string): void {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) one(line);
    },
    end(): void {
      if (rest !== "") one(rest);
      rest = "";
    },
    tail: () => last.join("\n"),
  };
}

function failureOf({ label, state, problem }: GpuJobView, tail: string): NikaError {
  const code = problem?.code !== undefined && problem.code in codes ? (problem.code as Code) : "invalid";
  const said = state === "failed" && tail !== "" ? ` The end of its output: ${tail}` : "";
  return new NikaError(code, `${label}: ${problem?.message ?? state}${said}`);
}
