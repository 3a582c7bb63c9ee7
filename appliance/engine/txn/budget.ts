/** What one run has used of its limits. */
import { limits } from "../codec/limits.ts";
import { checkedSize, DeveloperError, isPlainObject, type Json } from "../codec/value.ts";

type Used = { used: number; max: number; name: string };

export type Budget = ReturnType<typeof openBudget>;

export function openBudget() {
  const documentsRead = meter(limits.documentsReadMax, "Too many documents read in a single function execution");
  const bytesRead = meter(limits.bytesReadMax, "Too many bytes read in a single function execution");
  const databaseQueries = meter(limits.indexRangesMax, "Too many reads in a single function execution");
  const documentsWritten = meter(limits.documentsWrittenMax, "Too many writes in a single function execution");
  const bytesWritten = meter(limits.bytesWrittenMax, "Too many bytes written in a single function execution");
  const functionsScheduled = meter(limits.scheduledMax, "Too many functions scheduled by this mutation");
  const scheduledFunctionArgsBytes = meter(
    limits.scheduledArgsBytesMax,
    "Too large total size of the arguments of scheduled functions",
  );
  // How many and how large files may be in one transaction is published nowhere; these are the engine's own: those of documents.
  const filesWritten = meter(limits.documentsWrittenMax, "Too many files written in a single function execution");
  const fileWriteBytes = meter(limits.bytesWrittenMax, "Too many bytes of files written in a single function execution");
  const filesRead = meter(limits.documentsReadMax, "Too many files read in a single function execution");
  const fileReadBytes = meter(limits.bytesReadMax, "Too many bytes of files read in a single function execution");
  const sizes = openSizes();
  const meters: Readonly<Record<string, Used>> = {
    bytesRead,
    bytesWritten,
    databaseQueries,
    documentsRead,
    documentsWritten,
    functionsScheduled,
    scheduledFunctionArgsBytes,
    filesWritten,
    fileWriteBytes,
    filesRead,
    fileReadBytes,
  };
  const written = [documentsWritten, bytesWritten, functionsScheduled, scheduledFunctionArgsBytes, filesWritten, fileWriteBytes];
  /** Looks at what was read only when it may be too much, or when somebody asks. */
  const settleReads = (): void => {
    bytesRead.used += sizes.take();
    spend(bytesRead, 0);
  };
  return {
    /** One document, as JSON text. */
    read(json: string) {
      spend(documentsRead, 1);
      if (bytesRead.used + sizes.add(json) > bytesRead.max) settleReads();
    },
    readFile(bytes: number) {
      spend(filesRead, 1);
      spend(fileReadBytes, bytes);
    },
    writeFile(bytes: number) {
      spend(filesWritten, 1);
      spend(fileWriteBytes, bytes);
    },
    query: () => spend(databaseQueries, 1),
    write(bytes: number) {
      spend(documentsWritten, 1);
      spend(bytesWritten, bytes);
    },
    schedule(bytes: number) {
      spend(functionsScheduled, 1);
      spend(scheduledFunctionArgsBytes, bytes);
    },
    /** Lowers limits by name, as a nested call may ask; raising them does nothing. Returns how to lift it again. */
    narrow(wanted: Json | undefined): () => void {
      const before = Object.values(meters).map((one) => ({ one, max: one.max }));
      for (const [name, max] of Object.entries(isPlainObject(wanted) ? wanted : {})) {
        const one = meters[name];
        if (one && typeof max === "number" && max < one.max) one.max = max;
      }
      return () => {
        for (const { one, max } of before) one.max = max;
      };
    },
    /** Returns how to forget what was written since, when it has been rolled back. */
    markWritten(): () => void {
      const before = written.map(({ used }) => used);
      return () => {
        for (const [at, one] of written.entries()) one.used = before[at] as number;
      };
    },
    metrics: () => {
      bytesRead.used += sizes.take();
      return Object.fromEntries(
        Object.entries(meters).map(([name, { used, max }]) => [name, { used, remaining: Math.max(0, max - used) }]),
      );
    },
  };
}

/** The least text for what counts the most: a digit and a comma for a number, which counts nine bytes. */
const bytesPerCharacterMax = 9 / 2;

/**
 * Sizes of documents, as Convex counts them, worked out late: that means parsing, and hardly a run reads so much that its exact size
 * matters.
 */
function openSizes() {
  let waiting: string[] = [];
  let most = 0;
  return {
    /** Returns what all that waits may come to at most. */
    add(json: string): number {
      waiting.push(json);
      most += json.length * bytesPerCharacterMax;
      return most;
    },
    /** Returns what all that waited comes to. */
    take(): number {
      let sum = 0;
      for (const json of waiting) sum += documentSize(json);
      waiting = [];
      most = 0;
      return sum;
    },
  };
}

/** Of a stored document, in bytes. */
export function documentSize(json: string): number {
  return checkedSize(JSON.parse(json) as Json, Infinity);
}

function meter(max: number, name: string): Used {
  return { used: 0, max, name };
}

function spend(meter: Used, amount: number): void {
  meter.used += amount;
  if (meter.used > meter.max) throw new DeveloperError(`${meter.name} (limit: ${meter.max}).`);
}
