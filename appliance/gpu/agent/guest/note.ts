/** The agent's own log, beside what the command says. */
import { existsSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export function note(folder: string, line: string): void {
  try {
    const file = join(folder, "agent.log");
    if (existsSync(file) && statSync(file).size > 1 << 20) renameSync(file, `${file}.old`);
    writeFileSync(file, `${new Date().toISOString()} ${line}\n`, { flag: "a" });
  } catch {
    // A full disk is told elsewhere.
  }
}
