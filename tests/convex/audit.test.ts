/** Use as other programs' logs tell it: taken in where it may be, once, and given out again. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { toAuditLine } from "../../appliance/cli/modelAudit.ts";
import { api, internal } from "../../convex/_generated/api.js";
import type { AuditLine } from "../../convex/model/use.ts";
import { addText } from "../contracts/lab.ts";
import { openFakeState } from "../fakes/state.ts";

const used = (document: string, type: AuditLine["used"][number]["type"] = "cited") => [{ type, document, ordinal: 1 }];
const at = Date.now() - 60_000;
const line = (key: string, more: Partial<AuditLine> = {}): AuditLine => ({
  key,
  at,
  session: "agent 7",
  question: `what of ${key}`,
  used: [],
  ...more,
});

test("a log's lines are remembered as if they had happened here, by id or by name, each once; what is of no document is told", async () => {
  const state = openFakeState();
  const documentId = await addText(state, "lease.txt", "the lease");
  const add = (lines: AuditLine[]) => state.owner.mutation(api.audit.add, { lines });
  await assert.rejects(add([line("a")]), /--allow private/u);
  await state.owner.mutation(api.uses.allow, { scopes: ["private"] });
  const lines = [
    line("a", { used: [...used(documentId), ...used("lease.txt"), ...used("lease.txt", "liked")] }),
    line("b", { used: used("lease.txt", "opened") }),
    line("c", { used: used("not here.txt") }),
    line("d", { at: Date.now() + 3_600_000 }),
    line("e"),
  ];
  assert.deepEqual(await add(lines), { added: 3, known: 0, missing: 1, untimely: 1 });
  assert.deepEqual(await add(lines), { added: 0, known: 3, missing: 1, untimely: 1 });
  const page = { paginationOpts: { cursor: null, numItems: 9 } };
  const { uses } = await state.query(internal.uses.page, page);
  assert.deepEqual(
    uses.map(({ key, shown, reactions }) => [key, shown.length, reactions.map(({ type }) => type)]),
    [
      ["a", 1, ["cited", "liked"]],
      ["b", 1, ["opened"]],
      ["e", 0, []],
    ],
  );
  assert.deepEqual(await state.owner.query(api.uses.get, {}), { scopes: ["private"], questions: 3, reactions: 3 });
  // Given out and taken in again it is the same, and goes with the document.
  const { lines: out } = await state.owner.query(api.audit.page, page);
  assert.deepEqual(await add(out), { added: 0, known: 3, missing: 0, untimely: 0 });
  await state.mutation(internal.uses.forget, { documentId });
  assert.deepEqual(
    (await state.query(internal.uses.page, page)).uses.map(({ key }) => key),
    ["e"],
  );
});

test("a line of a log is read by its shape, named by its content, and anything else is none", () => {
  const text =
    '{"at": "2026-05-01T10:00:00Z", "question": "which lease", "used": [{"type": "cited", "document": "lease.txt"}], "more": 1}';
  const read = toAuditLine(text)!;
  assert.deepEqual(
    [read.at, read.session, read.used],
    [Date.UTC(2026, 4, 1, 10), "", [{ type: "cited", document: "lease.txt", ordinal: 0 }]],
  );
  assert.equal(toAuditLine(text)!.key, read.key);
  assert.notEqual(toAuditLine(text.replace("which", "what"))!.key, read.key);
  const others = ["", "x", "null", "[]", '{"question": "a"}', '{"question": " ", "at": 1}', '{"question": "a", "at": "soon"}'];
  const badUsed = [
    '"used": 1',
    '"used": [{}]',
    '"used": [{"type": "eaten", "document": "a"}]',
    '"used": [{"type": "cited", "document": "a", "ordinal": -1}]',
  ];
  for (const other of [...others, ...badUsed.map((one) => `{"question": "a", "at": 1, ${one}}`)])
    assert.equal(toAuditLine(other), undefined, other);
});
