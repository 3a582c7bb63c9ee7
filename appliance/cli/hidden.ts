import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { text as readAll } from "node:stream/consumers";
import { NikaError } from "../../convex/model/error.ts";

type HiddenOptions = { readonly file: string | undefined; readonly signal: AbortSignal };

/**
 * A value that must not be seen: from a file, from a pipe all of it, from a person one line that is not shown as it is typed. Never from the
 * command line, which other users of the machine can read. Without the line's end.
 */
export async function readHidden(what: string, { file, signal }: HiddenOptions): Promise<string> {
  if (file !== undefined) return (await readFile(file, "utf8")).replace(/\r?\n$/u, "");
  if (!process.stdin.isTTY) return (await readAll(process.stdin)).replace(/\r?\n$/u, "");
  process.stderr.write(`${what} (it is not shown): `);
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const prompt = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  try {
    return await prompt.question("", { signal });
  } catch (error) {
    throw signal.aborted ? new NikaError("cancelled", "Stopped at your request.") : error;
  } finally {
    prompt.close();
    process.stderr.write("\n");
  }
}
