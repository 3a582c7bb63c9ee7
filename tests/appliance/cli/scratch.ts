/** A folder of one's own for a test, gone afterwards. */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";

/** Made at once; removed when the file's tests are over. */
export function scratchDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "nika-cli-"));
  chmodSync(dir, 0o755); // For asOrdinaryUser.
  after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

const nobody = 65_534;

/** Root may read everything, so where the tests run as root this part runs as nobody; elsewhere it simply runs. */
export async function asOrdinaryUser<T>(run: () => Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0) return run();
  process.seteuid?.(nobody);
  try {
    return await run();
  } finally {
    process.seteuid?.(0);
  }
}
