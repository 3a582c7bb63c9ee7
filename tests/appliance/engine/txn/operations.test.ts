/** Every operation that the installed npm `convex` can ask of its host is either done or refused by name, in each kind of function. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { makeFunctionReference } from "convex/server";
import { openCore } from "../../../../appliance/engine/openCore.ts";
import { serve, type Served } from "../served.ts";

let served: Served;
before(async () => {
  const functionsDir = join(import.meta.dirname, "app");
  served = await serve((dir, origin) => openCore({ dir, functionsDir, env: {}, origin, log: () => undefined }));
});
after(() => served[Symbol.asyncDispose]());

/** Where each is answered: q(uery), m(utation), a(ction). What is in none of them is refused by name in all. */
const known: Readonly<Record<string, string>> = {
  "1.0/actions/action": "a",
  "1.0/actions/cancel_job": "a",
  "1.0/actions/mutation": "a",
  "1.0/actions/query": "a",
  "1.0/actions/schedule": "a",
  "1.0/actions/vectorSearch": "a",
  "1.0/auditLog": "qm",
  "1.0/cancel_job": "qm",
  "1.0/count": "qm",
  "1.0/createFunctionHandle": "qma",
  "1.0/createServiceToken": "",
  "1.0/db/normalizeId": "qm",
  "1.0/get": "qm",
  "1.0/getDeploymentMetadata": "qma",
  "1.0/getFunctionMetadata": "qma",
  "1.0/getRequestMetadata": "qma",
  "1.0/getServiceUrl": "",
  "1.0/getSnapshotTs": "qm",
  "1.0/getTransactionMetrics": "qm",
  "1.0/getUserIdentity": "qma",
  "1.0/insert": "qm",
  "1.0/queryCleanup": "qm",
  "1.0/queryPage": "qm",
  "1.0/queryStream": "qm",
  "1.0/queryStreamNext": "qm",
  "1.0/remove": "qm",
  "1.0/replace": "qm",
  "1.0/runUdf": "qm",
  "1.0/schedule": "qm",
  "1.0/shallowMerge": "qm",
  "1.0/signJwt": "",
  "1.0/storageDelete": "qma",
  "1.0/storageGenerateUploadUrl": "qma",
  "1.0/storageGet": "qm",
  "1.0/storageGetMetadata": "qma",
  "1.0/storageGetUrl": "qma",
  "1.0/storageStore": "qm",
  "storage/storeBlob": "a",
  "storage/getBlob": "a",
};
/** Of the way in which the original calls HTTP actions; this engine calls them in another, inside the library's own objects. */
const unused = ["requestFromConvexJson", "convexJsonFromResponse"];

/** Every one that the package names. */
function namedOperations(): readonly string[] {
  const entry = createRequire(import.meta.url).resolve("convex/server");
  const folder = join(dirname(entry), "../../../src/server");
  const files = globSync("**/*.ts", { cwd: folder, exclude: (path) => path.endsWith(".test.ts") });
  const text = files.map((one) => readFileSync(join(folder, one), "utf8")).join("\n");
  const found = [...text.matchAll(/["'`](1\.0\/[\w/]+)["'`]/g), ...text.matchAll(/performJsSyscall\(\s*["'`]([\w/]+)["'`]/g)];
  return [...new Set(found.map(([, op]) => op as string))].toSorted();
}

test("the table of operations is that of the package", () => {
  assert.deepEqual(namedOperations(), [...Object.keys(known), ...unused].toSorted());
});

for (const [kind, letter] of [
  ["query", "q"],
  ["mutation", "m"],
  ["action", "a"],
] as const)
  test(`${kind}: what is offered is known, what is not is refused by name`, async () => {
    const client = served.httpClient();
    const ops = Object.keys(known);
    const path = `raw:in${kind[0]?.toUpperCase()}${kind.slice(1)}`;
    const ask = { query: client.query, mutation: client.mutation, action: client.action }[kind].bind(client) as (
      reference: unknown,
      args: object,
    ) => Promise<string[]>;
    const answers = await ask(makeFunctionReference(path), { ops });
    for (const [at, op] of ops.entries()) {
      const answer = answers[at] as string;
      const where = known[op] as string;
      if (where === "") assert.equal(answer, `${op} is not supported by the embedded engine yet.`);
      else if (where.includes(letter))
        assert.doesNotMatch(answer, /^Unknown|^1\.0\S+ is not supported|Internal error|engine failed/, op);
      else assert.match(answer, new RegExp(`^Unknown (async )?operation ${op}`), op);
    }
  });
