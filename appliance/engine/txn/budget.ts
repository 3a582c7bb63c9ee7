/** What one run has used of its limits. */
import { limits } from "../codec/limits.ts";
import { checkedSize, DeveloperError, isPlainObject, type Json } from "../codec/value.ts";

/** What is counted: its name in metrics, how much there may be, and what is said of more. */
const meters = [
  ["bytesRead", limits.bytesReadMax, "Too many bytes read in a single function execution"],
  ["bytesWritten", limits.bytesWrittenMax, "Too many bytes written in a single function execution"],
  ["databaseQueries", limits.indexRangesMax, "Too many reads in a single function execution"],
  ["documentsRead", limits.documentsReadMax, "Too many documents read in a single function execution"],
  ["documentsWritten", limits.documentsWrittenMax, "Too many writes in a single function execution"],
  ["functionsScheduled", limits.scheduledMax, "Too many functions scheduled by this mutation"],
  ["scheduledFunctionArgsBytes", limits.scheduledArgsBytesMax, "Too large total size of the arguments of scheduled functions"],
  // How many and how large files may be in one transaction is published nowhere; these are the engine's own: those of documents.
  ["filesWritten", limits.documentsWrittenMax, "Too many files written in a single function execution"],
  ["fileWriteBytes", limits.bytesWrittenMax, "Too many bytes of files written in a single function execution"],
  ["filesRead", limits.documentsReadMax, "Too many files read in a single function execution"],
  ["fileReadBytes", limits.bytesReadMax, "Too many bytes of files read in a single function execution"],
] as const;
type Name = (typeof meters)[number][0];

const at = Object.fromEntries(meters.map(([name], index) => [name, index])) as Readonly<Record<Name, number>>;
const written = (
  [
    "documentsWritten",
    "bytesWritten",
    "functionsScheduled",
    "scheduledFunctionArgsBytes",
    "filesWritten",
    "fileWriteBytes",
  ] as const
).map((name) => at[name]);
const usual: readonly number[] = meters.map(([, max]) => max);
const nothing: readonly number[] = meters.map(() => 0);
/** The least text for what counts the most: a digit and a comma for a number, which counts nine bytes. */
const bytesPerCharacterMax = 9 / 2;

/** Made for every run, so it makes as little as it can. */
export class Budget {
  readonly #used = nothing.slice();
  #max = usual;
  /**
   * Documents of which the size, as Convex counts it, is worked out late: that means parsing, and hardly a run reads so much that its
   * exact size matters.
   */
  #unsized: string[] | undefined;
  /** What those may come to at most. */
  #unsizedMost = 0;

  /** One document, as JSON text. */
  read(json: string): void {
    this.#spend(at.documentsRead, 1);
    (this.#unsized ??= []).push(json);
    this.#unsizedMost += json.length * bytesPerCharacterMax;
    if (this.#used[at.bytesRead]! + this.#unsizedMost <= this.#max[at.bytesRead]!) return;
    this.#settleReads();
    this.#spend(at.bytesRead, 0);
  }

  readFile(bytes: number): void {
    this.#spend(at.filesRead, 1);
    this.#spend(at.fileReadBytes, bytes);
  }

  writeFile(bytes: number): void {
    this.#spend(at.filesWritten, 1);
    this.#spend(at.fileWriteBytes, bytes);
  }

  query(): void {
    this.#spend(at.databaseQueries, 1);
  }

  write(bytes: number): void {
    this.#spend(at.documentsWritten, 1);
    this.#spend(at.bytesWritten, bytes);
  }

  schedule(bytes: number): void {
    this.#spend(at.functionsScheduled, 1);
    this.#spend(at.scheduledFunctionArgsBytes, bytes);
  }

  /** Lowers limits by name, as a nested call may ask; raising them does nothing. Returns how to lift it again. */
  narrow(wanted: Json | undefined): () => void {
    const before = this.#max;
    if (isPlainObject(wanted))
      this.#max = before.map((max, index) => {
        const asked = wanted[meters[index]![0]];
        return typeof asked === "number" && asked < max ? asked : max;
      });
    return () => {
      this.#max = before;
    };
  }

  /** Returns how to forget what was written since, when it has been rolled back. */
  markWritten(): () => void {
    const before = this.#used.slice();
    return () => {
      for (const index of written) this.#used[index] = before[index]!;
    };
  }

  metrics(): Readonly<Record<string, { readonly used: number; readonly remaining: number }>> {
    this.#settleReads();
    return Object.fromEntries(
      meters.map(([name], index) => {
        const used = this.#used[index]!;
        return [name, { used, remaining: Math.max(0, this.#max[index]! - used) }];
      }),
    );
  }

  #settleReads(): void {
    for (const json of this.#unsized ?? []) this.#used[at.bytesRead]! += documentSize(json);
    this.#unsized = undefined;
    this.#unsizedMost = 0;
  }

  #spend(index: number, amount: number): void {
    const max = this.#max[index]!;
    if ((this.#used[index]! += amount) > max) throw new DeveloperError(`${meters[index]![2]} (limit: ${max}).`);
  }
}

/** Of a stored document, in bytes. */
export function documentSize(json: string): number {
  return checkedSize(JSON.parse(json) as Json, Infinity);
}
