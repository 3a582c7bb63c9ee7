/** A folder of one's own for a test, gone afterwards. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";

/** Made at once; removed when the file's tests are over. */
export function scratchDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "nika-cli-"));
  after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}
