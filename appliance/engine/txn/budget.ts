/** What one run has used of its limits. */
import { limits } from "../codec/limits.ts";
import { DeveloperError, isPlainObject, type Json } from "../codec/value.ts";

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
  const meters: Readonly<Record<string, Used>> = {
    bytesRead,
    bytesWritten,
    databaseQueries,
    documentsRead,
    documentsWritten,
    functionsScheduled,
    scheduledFunctionArgsBytes,
  };
  const written = [documentsWritten, bytesWritten, functionsScheduled, scheduledFunctionArgsBytes];
  return {
    read(bytes: number) {
      spend(documentsRead, 1);
      spend(bytesRead, bytes);
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
    metrics: () =>
      Object.fromEntries(
        Object.entries(meters).map(([name, { used, max }]) => [name, { used, remaining: Math.max(0, max - used) }]),
      ),
  };
}

function meter(max: number, name: string): Used {
  return { used: 0, max, name };
}

function spend(meter: Used, amount: number): void {
  meter.used += amount;
  if (meter.used > meter.max) throw new DeveloperError(`${meter.name} (limit: ${meter.max}).`);
}
