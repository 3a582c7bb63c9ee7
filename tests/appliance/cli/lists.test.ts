import assert from "node:assert/strict";
import { test } from "node:test";
import type { FunctionReturnType } from "convex/server";
import type { api } from "../../../convex/_generated/api.js";
import type { Id } from "../../../convex/_generated/dataModel.js";
import { documentLines } from "../../../appliance/cli/documents.ts";
import { summaryLines, type Ingested } from "../../../appliance/cli/ingest.ts";
import { jobLines, storyLines } from "../../../appliance/cli/jobs.ts";
import { openProgress } from "../../../appliance/cli/progress.ts";

type DocumentView = FunctionReturnType<typeof api.documents.list>[number];
type JobView = FunctionReturnType<typeof api.jobs.list>[number];

const wide = 200;

function document(given: Partial<DocumentView>): DocumentView {
  return { id: "d1" as Id<"documents">, name: "papers/a.md", state: "waiting", sizeBytes: 1_200, addedAt: 0, ...given };
}

function job(given: Partial<JobView>): JobView {
  const base = {
    id: "j1" as Id<"jobs">,
    kind: "documents.ingest",
    label: "a.md",
    state: "ready",
    attempts: 0,
    createdAt: 0,
    readyAt: 0,
  } as const;
  return { ...base, ...given };
}

test("each document says what there is to say about its state", () => {
  const reading = { format: "pdf", title: "A", language: "en", passages: 12 } as const;
  const lines = documentLines(
    [
      document({}),
      document({ state: "reading", progress: { done: 1, total: 4 } }),
      document({ state: "ready", reading }),
      document({ state: "unreadable", name: "b\u001B[2J.md", problem: { problem: "empty", message: "The file is empty." } }),
    ],
    wide,
  );
  assert.deepEqual(lines, [
    "d1  waiting     1.2 kB  papers/a.md",
    "d1  reading     1.2 kB  papers/a.md  25 %",
    "d1  ready       1.2 kB  papers/a.md  12 passages",
    "d1  unreadable  1.2 kB  b [2J.md     The file is empty.",
  ]);
  assert.deepEqual(documentLines([document({ state: "ready", reading })], 80), ["ready  1.2 kB  papers/a.md  12 passages"]);
});

test("a job says whether it runs, waits for another try, or ended, and since when", () => {
  const lines = jobLines(
    [
      job({ state: "leased", progress: { done: 1, total: 2 }, startedAt: 58_000 }),
      job({ readyAt: 65_000, attempts: 1, error: { code: "timeout", message: "It took too long." } }),
      job({ state: "done", endedAt: 0 }),
    ],
    60_000,
    wide,
  );
  assert.deepEqual(lines, [
    "j1  documents.ingest  running 50 %     for 2.0 s  a.md",
    "j1  documents.ingest  again (1 tried)  in 5.0 s   a.md  It took too long.",
    "j1  documents.ingest  done             60 s ago   a.md",
  ]);
});

const ingested: Ingested = {
  found: 3,
  added: [{ id: "d1", name: "a.md" }],
  known: 0,
  skipped: [],
  unreadable: [],
  isInterrupted: false,
};

test("the summary of a hand-over tells what happens next only when nobody waited", () => {
  assert.deepEqual(summaryLines(ingested), [
    "1 document handed over.",
    "Nika is reading them now; `nika batches` shows how far it is.",
  ]);
  assert.deepEqual(summaryLines({ ...ingested, ready: 1, known: 2 }), ["1 document ready, 2 already known."]);
});

test("a long list of problems is cut, and says where the rest is", () => {
  const unreadable = Array.from({ length: 30 }, (_, index) => ({
    name: `${index}.md`,
    problem: "empty",
    message: "The file is empty.",
  }));
  const lines = summaryLines({ ...ingested, ready: 1, unreadable });
  assert.equal(lines[0], "1 document ready, 30 unreadable.");
  assert.equal(lines.length, 22);
  assert.match(lines.at(-1) ?? "", /and 10 more; `nika documents --state unreadable`/);
});

test("progress without a terminal is at most ten plain lines, and none for --json", async () => {
  const notes: string[] = [];
  const terminal = {
    isInteractive: false,
    hasBar: false,
    hasColor: false,
    width: wide,
    line: () => assert.fail("progress belongs on stderr"),
    note: (text: string) => void notes.push(text),
    json: () => assert.fail("progress is not the result"),
    style: (_: unknown, text: string) => text,
  };
  const progress = await openProgress({ terminal, label: "Read", total: 1_000, isQuiet: false });
  for (let done = 1; done <= 1_000; done++) progress.update(done);
  assert.equal(notes.length, 10);
  assert.equal(notes.at(-1), "Read: 1,000 of 1,000 files");
  (await openProgress({ terminal, label: "Read", total: 1_000, isQuiet: true })).update(1_000);
  assert.equal(notes.length, 10);
});

test("a job tells its story, oldest first, with nothing in it that moves the cursor", () => {
  const lines = storyLines(
    {
      ...job({ state: "dead", endedAt: 90_000, label: "a\u001B[2J.md" }),
      lane: "bulk",
      gates: [{ name: "printer", limit: 2 }],
      history: [
        { at: 30_000, what: "orphaned", attempt: 1 },
        { at: 60_000, what: "failed", attempt: 1, code: "unavailable", message: "The store\nis away." },
      ],
    },
    90_000,
  );
  assert.equal(lines.length, 5);
  assert.match(lines[0] ?? "", /^j1 {2}lane bulk$/u);
  assert.match(lines[2] ?? "", /at most 2 at a time: printer/u);
  assert.match(lines[3] ?? "", /its worker died \(try 1\)$/u);
  assert.match(lines[4] ?? "", /failed \(try 1\): unavailable: The store.*is away\./u);
  assert.ok(lines.every((line) => !line.includes("\u001B") && !line.includes("\n")));
});
