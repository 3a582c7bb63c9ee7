/** The events of the log, oldest first, one at a time: logs are larger than memory should be. */
import { createReadStream, readdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { NikaError } from "../../../convex/model/error.ts";
import type { Entry } from "./ledger.ts";

/** Fails with `unreadable` at a line that is no event, but for a last one that is still being written. */
export async function* readLog(dir: string): AsyncGenerator<Entry> {
  let names: string[];
  try {
    names = readdirSync(dir).filter((name) => /^events-\d{6}\.jsonl$/.test(name));
  } catch {
    return;
  }
  let torn: string | undefined;
  for (const name of names.toSorted())
    for await (const line of createInterface({ input: createReadStream(join(dir, name)), crlfDelay: Infinity })) {
      if (torn !== undefined)
        throw new NikaError("unreadable", `${torn} holds a line that is no event; see \`nika events verify\`.`);
      try {
        yield JSON.parse(line) as Entry;
      } catch {
        torn = name;
      }
    }
}
