/** The mark of this install: all that is rented carries it, so that it is told from others' even when the database is lost. */
import { randomInt } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeWhole } from "../secrets/whole.ts";

const letters = "abcdefghijklmnopqrstuvwxyz0123456789";
const length = 8;

export function installIdIn(dataDir: string): string {
  const file = join(dataDir, "keys", "install");
  if (!existsSync(file)) {
    mkdirSync(join(dataDir, "keys"), { recursive: true, mode: 0o700 });
    writeWhole(file, Array.from({ length }, () => letters[randomInt(letters.length)]).join(""));
  }
  return readFileSync(file, "utf8").trim();
}
