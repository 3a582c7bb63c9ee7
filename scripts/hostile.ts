/**
 * The hostile drill: hands a folder of broken and malicious files to an appliance through the command line and watches. Every file must
 * end in a state that says what became of it, memory must stay under its ceiling, and nothing may be written outside the data directory.
 * `node scripts/hostile.ts`
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { toDocumentName } from "../convex/model/document.ts";
import { api } from "../convex/_generated/api.js";
import { makeHostile } from "../tests/fixtures/hostile.ts";
import { everyDocument } from "./lab/documents.ts";
import { startLab } from "./lab/appliance.ts";

/**
 * Measured 638 on a busy machine and 766 on a quiet one, where more is read side by side: two readers at work take some 230 to 290, the
 * appliance 200 to 320 with whatever it learned, and 60 are Node's own pages when no other program shares them. Files pass the appliance in
 * pieces, so their size adds nothing. With some room, because runs differ; above this, something has grown.
 */
const memoryMiBMax = 860;
const root = fileURLToPath(new URL("..", import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "nika-hostile-"));
const [home, temporary, data] = ["home", "tmp", "data"].map((name) => join(dir, name)) as [string, string, string];
for (const place of [home, temporary]) mkdirSync(place);
const environment = { HOME: home, TMPDIR: temporary };

try {
  const files = makeHostile(join(dir, "files"));
  const marker = join(dir, "marker");
  const appliance = await startLab({ dataDir: data, environment });
  await new Promise((done) => setTimeout(done, 1_100)); // So that what was written before is older by any file system's clock.
  writeFileSync(marker, "");
  let peakMiB = 0;
  const watch = setInterval(() => (peakMiB = Math.max(peakMiB, appliance.memoryMiB())), 100);
  const begun = performance.now();
  const nika = ["appliance/cli/nika.ts", "--data", data, "ingest", join(dir, "files"), "--wait", "--json"];
  const { stderr } = await promisify(execFile)(process.execPath, nika, {
    cwd: root,
    env: { ...process.env, ...environment },
    maxBuffer: 2 ** 26,
  });
  const seconds = (performance.now() - begun) / 1000;
  clearInterval(watch);
  const client = await appliance.client();
  const documents = await everyDocument(client);
  const isKnown = async (path: string): Promise<boolean> => {
    if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return false;
    const sha256 = createHash("sha256").update(readFileSync(path)).digest("hex");
    return (await client.query(api.documents.known, { sha256s: [sha256] })).length > 0;
  };
  const healthy = (await fetch(`${appliance.url}/nika/health`)).ok;

  const problems: string[] = [];
  if (!healthy) problems.push("the appliance is not healthy any more");
  if (/\n\s+at .+:\d+:\d+/.test(stderr)) problems.push(`a stack trace was shown:\n${stderr}`);
  const states = new Map(documents.map(({ name, ...rest }) => [name.split("/").slice(1).join("/"), rest]));
  for (const { name, expect } of files) {
    const found = states.get(toDocumentName(name));
    const state = !found
      ? "skipped"
      : found.state === "ready"
        ? `ready:${found.reading?.format}`
        : (found.problem?.problem ?? found.state);
    // The same bytes under two names are one document, which goes by the first.
    if (state === "skipped" && (await isKnown(join(dir, "files", name)))) continue;
    if (!(expect as readonly string[]).includes(state))
      problems.push(`${JSON.stringify(name)} ended as ${state}, not ${expect.join(" or ")}`);
  }
  await appliance.stop();
  const open = documents.filter(({ state }) => state !== "ready" && state !== "unreadable");
  for (const { name, state } of open) problems.push(`${name} is stuck as ${state}`);
  if (peakMiB > memoryMiBMax) problems.push(`memory went up to ${peakMiB.toFixed(0)} MiB`);
  for (const path of [...newerThan(home, marker), ...newerThan(temporary, marker), ...newerThan(root, marker)])
    problems.push(`written outside the data directory: ${path}`);
  for (const problem of problems) console.error(problem);
  console.log(
    `hostile drill: ${files.length} files, ${documents.length} documents in ${seconds.toFixed(0)} s, peak ${peakMiB.toFixed(0)} MiB, ${problems.length} problems`,
  );
  process.exitCode = problems.length === 0 ? 0 : 1;
} finally {
  rmSync(dir, { recursive: true, force: true });
}
process.exit();

function newerThan(place: string, marker: string): string[] {
  const since = statSync(marker).mtimeMs;
  return readdirSync(place, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && !/node_modules|[/\\]\.git([/\\]|$)/.test(entry.parentPath))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => statSync(path).mtimeMs > since);
}
