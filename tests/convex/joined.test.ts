/** What a worker on another machine may do with its token, and what not. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { api, internal } from "../../convex/_generated/api.js";
import { isAbout, joinedKinds, mayCall, versionProblem, workerSubject } from "../../convex/model/joined.ts";
import type { State } from "../../functions/ports/state.ts";
import { addText, only, type Lab } from "../contracts/lab.ts";
import { openEngineLab } from "./engineLab.ts";

let lab: Lab;
before(async () => {
  lab = await openEngineLab();
});
after(() => lab.close());

const codeOf = (code: string) => (error: unknown) => (error as { data?: { code?: string } }).data?.code === code;
const about = { host: "h", version: "1", lanes: { now: 4, work: 2, bulk: 2 }, kinds: ["documents.ingest", "documents.forget"] };

async function letIn(name: string): Promise<State> {
  const hash = Buffer.from(name.padEnd(32, "-")).toString("hex");
  await lab.owner.mutation(api.workers.addToken, { name, hash });
  const token = await lab.query(internal.workers.findToken, { hash });
  assert(token);
  return lab.as(`${workerSubject}${token.id}`);
}

test("it claims only kinds that may leave the appliance, and reads and writes only for the document it holds", async () => {
  const state = await letIn("far");
  const documentId = await addText(lab, "a.txt", "x");
  const other = await addText(lab, "b.txt", "y");
  await lab.mutation(internal.work.add, {
    work: [{ kind: "schedules.plan", args: { scheduleIds: [] }, label: "", lane: "bulk" }],
  });
  const { workerId, epoch } = await state.mutation(api.joined.hello, { slots: 8, about });
  const kinds = ["documents.ingest", "schedules.plan"];
  const head = await state.query(api.joined.head, { lane: "bulk", limit: 8, kinds });
  assert.equal(head.length, 3);
  const claim = { token: "t", jobIds: head };
  const { claimed } = await state.mutation(api.joined.exchange, { workerId, epoch, settle: [], claim });
  assert.deepEqual(
    new Set(claimed.map(({ kind }) => kind)),
    new Set(["documents.ingest"]),
    "what it says it can do is not enough",
  );

  const job = claimed.find(({ args }) => "documentId" in args && args.documentId === documentId);
  assert(job);
  const read = (args: object, name = "documents:fileForIngest", token = "t") =>
    state.query(api.joined.read, { jobId: job.jobId, token, name, args });
  assert.equal(((await read({ documentId })) as { name: string }).name, "a.txt");
  await assert.rejects(read({ documentId: other }), codeOf("denied"));
  await assert.rejects(read({ documentId }, "documents:list"), codeOf("denied"));
  await assert.rejects(read({ documentId }, "documents:fileForIngest", "guessed"), codeOf("conflict"));
  const write = { jobId: job.jobId, token: "t", name: "pictures:trim", args: { documentId: other, count: 0 } };
  await assert.rejects(state.mutation(api.joined.write, write), codeOf("denied"));
});

test("a token is good for one worker, opens nothing of the owner's, and nothing at all once it is revoked", async () => {
  const state = await letIn("first");
  const second = await letIn("second");
  const { workerId, epoch } = await state.mutation(api.joined.hello, { slots: 8, about });
  const none = { settle: [], claim: { token: "t", jobIds: [] } };
  await assert.rejects(second.mutation(api.joined.exchange, { workerId, epoch, ...none }), codeOf("denied"));
  await assert.rejects(second.mutation(api.joined.goodbye, { workerId, epoch }), codeOf("denied"));
  await assert.rejects(state.query(api.jobs.list, {}), codeOf("denied"));
  await assert.rejects(lab.as("owner").query(api.joined.head, { lane: "now", limit: 1, kinds: [] }), codeOf("denied"));
  await assert.rejects(lab.owner.mutation(api.workers.addToken, { name: "appliance", hash: "0".repeat(64) }), codeOf("invalid"));

  await lab.owner.mutation(api.workers.revokeToken, { name: "first" });
  await assert.rejects(state.mutation(api.joined.exchange, { workerId, epoch, ...none }), codeOf("denied"));
  const names = (await lab.owner.query(api.workers.list, {})).map(({ name }) => name);
  assert(!names.includes("first"));
});

test("another version is refused in a sentence that says what to do", async () => {
  const state = await letIn("old");
  await lab.mutation(internal.appliance.report, {
    name: "h",
    version: "2",
    mode: { state: "embedded", vectors: "embedded" },
    embedder: { id: "e", label: "e", isBaseline: true },
    startedAt: 0,
  });
  await assert.rejects(state.mutation(api.joined.hello, { slots: 8, about }), codeOf("conflict"));
  assert.match(versionProblem("1", "2") ?? "", /install the same version on both/);
});

test("whatever reading a document asks of the control plane, it may ask for it on another machine", () => {
  const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
  const files = ["ingest", "unpack", "keepPictures", "embedPictures"].map((name) => read(`functions/documents/${name}.ts`));
  const asked = new Set(
    files.flatMap((text) => Array.from(text.matchAll(/internal\.(\w+)\.(\w+)[,)]/gu), ([, file, name]) => `${file}:${name}`)),
  );
  assert(asked.size >= 5);
  const door = read("convex/joined.ts");
  for (const name of asked) assert(mayCall("documents.ingest", name) && door.includes(`"${name}"`), `${name} is not let through`);
});

test("what removes or decides stays at home", () => {
  assert.deepEqual(joinedKinds, ["jobs.check", "documents.ingest"]);
  assert(!mayCall("jobs.check", "pictures:put"));
  assert(mayCall("documents.ingest", "pictures:put"));
  assert(!isAbout({}, { documentId: "d" }));
  assert(isAbout({ documentId: "d" }, { parentId: "d" }));
  assert.equal(only(["documentId"].filter((name) => !isAbout({ documentId: "d" }, { [name]: "e" }))), "documentId");
});
