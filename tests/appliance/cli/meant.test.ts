import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConvexHttpClient } from "convex/browser";
import { getFunctionName, type FunctionReference, type FunctionReturnType } from "convex/server";
import type { api } from "../../../convex/_generated/api.js";
import { isNikaError } from "../../../convex/model/error.ts";
import { meant } from "../../../appliance/cli/documents.ts";

type DocumentView = FunctionReturnType<typeof api.documents.list>[number];

/** A control plane that holds these names, in pages of two, and finds whole names alone, as the real one does. */
function holding(...names: readonly string[]): ConvexHttpClient {
  const held = names.map(
    (name, at) => ({ id: `d${at}`, name, state: "ready", sizeBytes: 1, addedAt: 0 }) as unknown as DocumentView,
  );
  const query = async (
    reference: FunctionReference<"query">,
    args: { name?: string; paginationOpts?: { cursor: string | null } },
  ) => {
    if (getFunctionName(reference) === "documents:find") return held.filter(({ name }) => name === args.name);
    const from = Number(args.paginationOpts?.cursor ?? 0);
    return { page: held.slice(from, from + 2), continueCursor: String(from + 2), isDone: from + 2 >= held.length };
  };
  return { query } as unknown as ConvexHttpClient;
}

const refusal = async (http: ConvexHttpClient, name: string): Promise<string> => {
  const error: unknown = await meant(http, name).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(isNikaError(error));
  return `${error.code}: ${error.message}`;
};

test("a document is found by its name without extension, and by a part of it, whatever case and accents", async () => {
  const http = holding("mail/2026/Devis été.pdf", "contracts/lease.docx", "contracts/lease draft.docx", "notes.md");

  assert.equal((await meant(http, "notes.md")).name, "notes.md");
  assert.equal((await meant(http, "LEASE")).name, "contracts/lease.docx", "a whole name goes before a part of another");
  assert.equal((await meant(http, "devis ete")).name, "mail/2026/Devis été.pdf");
  assert.equal((await meant(http, "ease dr")).name, "contracts/lease draft.docx");
});

test("a part of several names lists them, and one of none says so", async () => {
  const http = holding("contracts/lease.docx", "contracts/loan.docx");

  assert.match(await refusal(http, "contracts/"), /^conflict: .*d0 \(contracts\/lease\.docx\), d1 \(contracts\/loan\.docx\)/);
  assert.match(await refusal(http, "boats"), /^missing: /);
  const many = holding(...Array.from({ length: 30 }, (_, at) => `scan ${at}.pdf`));
  assert.match(
    await refusal(many, "scan"),
    /^conflict: "scan" is in the names of 30 documents; say more of it\. .*scan 9\.pdf\.$/,
  );
});
