/**
 * Bounded disk: overwrites 1,000 documents with mutations of client sessions, and says what lies on the disk.
 * `node scripts/drills/engineOverwrites.ts [MUTATIONS]`
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCore } from "../../appliance/engine/openCore.ts";

const [mutations = 1_000_000] = process.argv.slice(2).map(Number);
const documents = 1000;
const sessions = 50;
const bytesMax = 200 * 1024 * 1024;
const identity = { type: "admin" } as const;

const dir = mkdtempSync(join(tmpdir(), "nika-overwrites-"));
try {
  const core = await openCore({
    dir,
    functionsDir: join(import.meta.dirname, "../../tests/appliance/engine/app"),
    env: { TEST_JWKS: 'data:,{"keys":[]}' },
    origin: () => "http://127.0.0.1",
    log: console.error,
  });
  let next = 0;
  let largest = 0;
  const startedAt = performance.now();
  const write = async (session: string): Promise<void> => {
    for (let request = 0; next < mutations; request++) {
      const mine = next++;
      const args = JSON.stringify({ rank: mine % documents, text: `${mine} ${"x".repeat(200)}` });
      const { result } = await core.mutation({
        path: "notes:put",
        args,
        identity,
        requestId: "0123456789abcdef",
        session: { id: session, requestId: request },
      });
      if (!result.ok) throw new Error(result.message);
      if (mine % 10_000 === 0) largest = Math.max(largest, sizeOf());
    }
  };
  await Promise.all(Array.from({ length: sessions }, (_, at) => write(`0000000${at}-0000-4000-8000-000000000000`)));
  const seconds = (performance.now() - startedAt) / 1000;
  const end = sizeOf();
  await core.close();
  console.log(
    `overwrites: ${mutations} on ${documents} documents from ${sessions} sessions in ${seconds.toFixed(0)} s ` +
      `(${(mutations / seconds).toFixed(0)}/s); on disk ${inMb(end)} open, ${inMb(sizeOf())} closed, ${inMb(Math.max(largest, end))} at most`,
  );
  process.exitCode = Math.max(largest, end) < bytesMax ? 0 : 1;
} finally {
  rmSync(dir, { recursive: true, force: true });
}

/** The database with its journal; not the compiled code beside it. */
function sizeOf(): number {
  return readdirSync(dir)
    .filter((name) => name.startsWith("engine.sqlite"))
    .reduce((sum, name) => sum + statSync(join(dir, name)).size, 0);
}

function inMb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
