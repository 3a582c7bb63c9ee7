/**
 * What a stranger would do, from the first command to an answer on the phone, with everything real: `node scripts/acceptance.ts`.
 * Installs into a temporary folder, hands over documents, asks, looks at the page, stops, and leaves nothing behind.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isAlive } from "../appliance/cli/running.ts";
import { makeCorpus } from "../tests/fixtures/corpus.ts";
import type { Answer } from "../convex/model/answer.ts";
import { findPid, mustRun, run } from "./acceptance/installed.ts";
import { openPhone, seeJobMove, watchJobs, widthOf } from "./acceptance/page.ts";
import { freePort } from "./lab/freePort.ts";

const documentCount = 100;
const root = fileURLToPath(new URL("..", import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "nika-acceptance-"));
const prefix = join(dir, "nika");
const nika = join(prefix, "bin", "nika");
const port = await freePort();
const chromium = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((path) => existsSync(path));

function say(text: string): void {
  console.log(`acceptance: ${text}`);
}

function must(isSo: boolean, what: string): void {
  if (!isSo) throw new Error(what);
}

async function install(): Promise<void> {
  const installer = join(root, "nika-install.sh");
  const flags = ["--embedded", "--prefix", prefix, "--port", String(port), "--yes"];
  const first = await mustRun(installer, flags);
  const health = await fetch(`http://127.0.0.1:${port}/nika/health`);
  must(health.ok, `the appliance is not healthy after its installation: ${health.status}`);
  must(/#link=/.test(first.out), `the installer printed no link:\n${first.out}`);
  say(`installed and healthy in ${(first.ms / 1000).toFixed(1)} s`);
  const second = await mustRun(installer, flags);
  must(/nothing was changed/.test(second.out), `the second run did not say that nothing was changed:\n${second.out}`);
  say(`a second run changed nothing (${(second.ms / 1000).toFixed(1)} s)`);
}

async function readAndAsk(): Promise<void> {
  const corpus = makeCorpus(join(dir, "corpus"), documentCount, 11);
  const ingested = await mustRun(nika, ["ingest", join(dir, "corpus"), "--wait", "--json"]);
  const { ready, unreadable } = JSON.parse(ingested.out) as { ready: number; unreadable: unknown[] };
  must(ready === documentCount, `${ready} of ${documentCount} documents are ready: ${JSON.stringify(unreadable)}`);
  say(`${ready} documents read in ${(ingested.ms / 1000).toFixed(1)} s`);
  // A text, a PDF and a Word document.
  for (const { question, document, answer } of [0, 6, 7].flatMap((at) => corpus.questions[at] ?? [])) {
    const { passages, tookMs } = JSON.parse((await mustRun(nika, ["ask", question, "--json"])).out) as Answer;
    const cited = passages[0]?.documentName ?? "nothing";
    must(cited.endsWith(`/${document}`), `"${question}" cites ${cited} and not ${document}`);
    const saying = passages.findIndex(({ documentName, text }) => documentName === cited && text.includes(answer));
    must(saying >= 0, `no passage cited for "${question}" says ${answer}`);
    say(`"${question}" cites ${cited} (${tookMs.toFixed(0)} ms)`);
  }
}

async function lookAtPage(executablePath: string): Promise<void> {
  const { url } = JSON.parse((await mustRun(nika, ["link", "--json"])).out) as { url: string };
  await using phone = await openPhone(url, { dir, executablePath });
  const { page } = phone;
  await page.getByTestId("tab-activity").click();
  await page.getByTestId("job-row").first().waitFor();
  await page.waitForLoadState("networkidle");
  const width = await widthOf(page);
  must(width <= 390, `the page is ${width} px wide on a phone of 390`);
  await watchJobs(page);
  phone.requests.length = 0;
  writeFileSync(join(dir, "long.md"), longText());
  const [progress] = await Promise.all([seeJobMove(page), mustRun(nika, ["ingest", join(dir, "long.md"), "--wait", "--json"])]);
  must(phone.requests.length === 0, `the page asked instead of being told: ${phone.requests.join(", ")}`);
  must(phone.sockets === 1, `the page opened ${phone.sockets} live connections and not one`);
  must(phone.errors.length === 0, `the page complained: ${phone.errors.join("; ")}`);
  say(
    `the page at 390 px saw a job move by itself: ${progress.length} steps up to ${progress.at(-1)}, no request but the live connection`,
  );
}

/** Long enough that reading it takes a while. */
function longText(): string {
  const section = (i: number) =>
    `## Section ${i}\n\n${`In year ${1500 + i} the harbour of the town counted ${i * 7} boats, and the clerk wrote each of them down. `.repeat(12)}\n\n`;
  return `# The harbour book\n\n${Array.from({ length: 5_000 }, (_, i) => section(i)).join("")}`;
}

async function stop(): Promise<void> {
  const pid = findPid(prefix);
  await mustRun(nika, ["stop"]);
  must(pid !== undefined && !isAlive(pid), `process ${pid} is still there after nika stop`);
  const expected = [".lock", "app", "bin", "data", "node", "releases"];
  must(
    readdirSync(prefix).sort().join() === expected.join(),
    `unexpected files in the prefix: ${readdirSync(prefix).join(", ")}`,
  );
  say("stopped, and the prefix holds what it should");
}

const begun = performance.now();
try {
  await install();
  await readAndAsk();
  if (chromium === undefined) {
    must(!process.env["CI"], "Chromium is missing, and CI must not skip the page");
    say("SKIPPED the page: Chromium is not installed");
  } else await lookAtPage(chromium);
  await stop();
  say(`passed in ${((performance.now() - begun) / 1000).toFixed(1)} s`);
} catch (error) {
  console.error(`acceptance: FAILED: ${(error as Error).message}`);
  if (existsSync(join(prefix, "data", "log", "nika.log")))
    console.error((await run("tail", ["-n", "30", join(prefix, "data", "log", "nika.log")])).out);
  process.exitCode = 1;
} finally {
  const pid = findPid(prefix);
  if (pid !== undefined && isAlive(pid)) process.kill(pid, "SIGKILL");
  rmSync(dir, { recursive: true, force: true });
}
