/** What one run has used of its limits. */
import { limits } from "../codec/limits.ts";
import { DeveloperError } from "../codec/value.ts";

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
    metrics: () =>
      Object.fromEntries(
        Object.entries({
          bytesRead,
          bytesWritten,
          databaseQueries,
          documentsRead,
          documentsWritten,
          functionsScheduled,
          scheduledFunctionArgsBytes,
        }).map(([name, { used, max }]) => [name, { used, remaining: Math.max(0, max - used) }]),
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
