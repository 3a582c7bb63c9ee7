/** The command against a real appliance that it starts itself: the story of a first day. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Answer } from "../../../convex/model/answer.ts";
import { isAlive } from "../../../appliance/cli/running.ts";
import { nodeEnvironment } from "../../../appliance/nodeFlags.ts";
import { nika, type Ran } from "./command.ts";
import { scratchDir } from "./scratch.ts";

// Registered before the folder's own removal, because hooks run in that order and a stop needs the folder.
after(() => run("stop"));
const dir = scratchDir();
const data = join(dir, "data");
const papers = join(dir, "papers");
let pid = 0;

const run = (...words: string[]): Promise<Ran> => nika([...words, "--data", data]);
async function json<T>(...words: string[]): Promise<T> {
  const { code, stdout, stderr } = await run(...words, "--json");
  assert.equal(stderr, "");
  assert.equal(code, 0);
  return JSON.parse(stdout) as T;
}

before(() => {
  mkdirSync(join(papers, "old"), { recursive: true });
  writeFileSync(join(papers, "lease.md"), "# Lease\n\nThe lease of the workshop ends on 30 June 2031. Notice is six months.\n");
  writeFileSync(join(papers, "old", "lease.md"), "# Lease\n\nThe lease of the old barn ended in 1998. The barn was sold.\n");
  writeFileSync(join(papers, "boat.txt"), "The blue boat is moored at berth 14. Its engine was serviced in March.\n");
  writeFileSync(join(papers, "copy of boat.txt"), "The blue boat is moored at berth 14. Its engine was serviced in March.\n");
  writeFileSync(join(papers, "empty.txt"), "");
  writeFileSync(join(papers, "broken.pdf"), "%PDF-1.7\nnot much of one");
  symlinkSync(".", join(papers, "round"));
});

test("the first start prints the address, a link and what to do next", async () => {
  const { code, stdout, stderr } = await run("up", "--port", "0");
  assert.equal(stderr, "");
  assert.equal(code, 0);
  assert.match(stdout, /^Nika is running at http:\/\/127\.0\.0\.1:\d+ \(pid \d+\)\.\n/);
  assert.match(stdout, /#link=[\w-]+\n/);
  assert.match(stdout, /Next: nika ingest/);
  assert.match(stdout, /Stop: nika stop\n$/);
  pid = Number(/pid (\d+)/.exec(stdout)?.[1]);
  assert.ok(isAlive(pid));
  // Without these the C library holds on to what its many threads freed.
  const surroundings = `/proc/${pid}/environ`;
  const set = existsSync(surroundings) ? readFileSync(surroundings, "latin1").split("\0") : undefined;
  for (const [name, value] of Object.entries(nodeEnvironment)) assert.ok(set?.includes(`${name}=${value}`) ?? true, name);
});

test("a second start changes nothing and says so", async () => {
  const { code, stdout } = await run("up");
  assert.equal(code, 0);
  assert.match(stdout, new RegExp(`already running at .* \\(pid ${pid}\\)`));
});

test("a folder is handed over and read; what is known, twice there or unreadable is said", async () => {
  type Ingested = {
    found: number;
    added: { name: string }[];
    known: number;
    ready: number;
    unreadable: { name: string; problem: string }[];
  };
  const first = await json<Ingested>("ingest", papers, "--wait");
  assert.equal(first.found, 7);
  assert.equal(first.ready, 3);
  assert.equal(first.known, 1);
  assert.deepEqual(first.unreadable.map(({ name, problem }) => `${name} ${problem}`).toSorted(), [
    "papers/broken.pdf damaged",
    "papers/empty.txt empty",
    "papers/round linkLoop",
  ]);
  const second = await run("ingest", papers, "--wait", "--strict");
  assert.equal(second.code, 1);
  assert.match(second.stdout, /^5 already known, 2 unreadable\.\n/);
  assert.match(second.stderr, /^Found 7 files/);
});

test("a question is answered with its source", async () => {
  const answer = await json<Answer>("ask", "when does the workshop lease end?");
  assert.equal(answer.passages[0]?.documentName, "papers/lease.md");
  assert.match(
    (await run("ask", "when does the workshop lease end?")).stdout,
    /^1\. papers\/lease\.md · .*\n.*«[^»]*30 June 2031/mu,
  );
});

test("documents and jobs are listed, and the refused are among them", async () => {
  const documents = await json<{ name: string; state: string }[]>("documents");
  assert.equal(documents.length, 6);
  const unreadable = await run("documents", "--state", "unreadable");
  assert.equal(unreadable.stdout.trim().split("\n").length, 3);
  assert.match(unreadable.stdout, /\tpapers\/empty\.txt\tThe file is empty\./);
  const jobs = await json<{ kind: string; state: string }[]>("jobs");
  assert.ok(jobs.length >= 3 && jobs.every(({ kind, state }) => kind === "documents.ingest" && state === "done"));
});

test("forgetting asks for one document, and for a yes", async () => {
  const ambiguous = await run("forget", "lease.md", "--yes");
  assert.equal(ambiguous.code, 75);
  assert.match(
    ambiguous.stderr,
    /could be several documents; .*papers\/lease\.md.*papers\/old\/lease\.md|papers\/old\/lease\.md.*papers\/lease\.md/,
  );
  assert.equal((await run("forget", "nothing.md", "--yes")).code, 66);
  assert.equal((await run("forget", "old/lease.md")).code, 65);
  assert.deepEqual(await run("forget", "old/lease.md", "--yes"), {
    code: 0,
    stdout: "Forgot papers/old/lease.md.\n",
    stderr: "",
  });
  const answer = await json<Answer>("ask", "when was the barn sold?");
  assert.ok(answer.passages.every(({ documentName }) => documentName !== "papers/old/lease.md"));
});

test("status and doctor find it well", async () => {
  type Status = {
    isRunning: boolean;
    pid: number;
    documents: { ready: number; passages: number };
    appliance: { embedder: { isBaseline: boolean } };
  };
  const status = await json<Status>("status");
  assert.deepEqual([status.isRunning, status.pid, status.documents.ready], [true, pid, 2]);
  assert.match((await run("status")).stdout, /^Documents +2 ready with 2 passages, 3 unreadable$/m);
  const checks = JSON.parse((await run("doctor", "--json")).stdout) as { name: string; level: string; text: string }[];
  for (const name of ["State", "Search", "Embedder", "Port"])
    assert.equal(checks.find((check) => check.name === name)?.level, "ok", name);
});

test("stopping ends the process and leaves the data; the next start has it all", async () => {
  const stopped = await run("stop");
  assert.deepEqual(stopped, { code: 0, stdout: `Nika (pid ${pid}) has stopped.\n`, stderr: "" });
  assert.equal(isAlive(pid), false);
  assert.equal(existsSync(join(data, "run.json")), false);
  assert.equal((await run("up", "--port", "0", "--no-link")).code, 0);
  assert.equal((await json<unknown[]>("documents")).length, 5);
  await run("stop");
});

test("behind a public address the command still takes the short way", async () => {
  const env = { NIKA_PUBLIC_URL: "https://nika.invalid" };
  const { code, stdout } = await nika(["up", "--port", "0", "--data", data], { env });
  assert.equal(code, 0);
  assert.match(stdout, /https:\/\/nika\.invalid\/#link=/);
  writeFileSync(join(papers, "new.txt"), "The green boat was sold.\n");
  assert.match((await run("ingest", join(papers, "new.txt"), "--wait")).stdout, /^1 document ready\.$/m);
  await run("stop");
});

test("a port that is taken is a conflict, and nothing is left running", async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const { port } = other.address() as AddressInfo;
  try {
    const { code, stderr } = await run("up", "--port", String(port));
    assert.equal(code, 75);
    assert.match(stderr, new RegExp(`^nika: [^\\n]*${port}[^\\n]*\\n$`));
    assert.equal((await run("status")).code, 69);
  } finally {
    other.close();
  }
});
