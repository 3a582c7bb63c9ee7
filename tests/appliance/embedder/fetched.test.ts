/** How a model gets from the appliance to a machine that works for it: over the door, by hash, once. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { findLearned, modelCard } from "../../../appliance/embedder/model.ts";
import type { Door } from "../../../appliance/join/door.ts";
import { fetchModel } from "../../../appliance/embedder/fetched.ts";
import { openModelShelf } from "../../../appliance/embedder/shelf.ts";
import { workerRoutes } from "../../../appliance/join/routes.ts";
import { isNikaError, NikaError } from "../../../convex/model/error.ts";

const dir = mkdtempSync(join(tmpdir(), "nika-shelf-"));
const modelsDir = join(dir, "appliance");
const secret = "nkw_right";

/** Only hashed and copied here, so what stands in them does not matter. */
function put(modelId: string, graph: string): void {
  const files = {
    "config.json": "{}",
    "tokenizer.json": "{}",
    "tokenizer_config.json": "{}",
    "onnx/model_quantized.onnx": graph,
  };
  for (const [path, text] of Object.entries(files)) {
    const file = join(modelsDir, "nika", modelId, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}
put("one", "first");
put("other", "second");
const idOf = async (modelId: string): Promise<string> => (await modelCard((await findLearned(modelsDir, modelId))!)).id;
const used = [await idOf("one")];

const door: Door = {
  enter: async () => assert.fail("nobody joins here"),
  mustBeKnown: async (shown) => {
    if (shown !== secret) throw new NikaError("denied", "no");
  },
};
const models = openModelShelf({ modelsDir, inUse: async () => used });
const find = workerRoutes({ door, models });
let asked: string[] = [];
/** What somebody on the way makes of a file. */
let tampered: Uint8Array | undefined;
const server = createServer((request, response) => {
  const path = request.url ?? "";
  asked.push(path);
  const send = (status: number, body: object): void => void response.writeHead(status).end(JSON.stringify(body));
  const isFile = path.split("/").length === 6;
  if (tampered && isFile) return void response.end(tampered);
  void find(path)?.(request, response, { send }).catch((error: unknown) =>
    send(isNikaError(error) && error.code === "denied" ? 401 : 404, { message: (error as Error).message }),
  );
});
await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
after(() => {
  server.close();
  rmSync(dir, { recursive: true, force: true });
});

const at = (name: string, shown = secret) => ({ url, secret: shown, dir: join(dir, name), log: () => undefined });
const unavailable = (error: unknown): boolean => isNikaError(error) && error.code === "unavailable";

test("a model in use is fetched once and is the same byte for byte; what no space is made by any more goes", async () => {
  const [one] = used as [string];
  asked = [];
  const files = await fetchModel(one, at("worker"), []);
  assert.deepEqual([await modelCard(files).then(({ id }) => id), asked.length], [one, 5]);
  const graph = (from: string): string => readFileSync(join(from, "onnx/model_quantized.onnx"), "utf8");
  assert.equal(graph(join(files.modelsDir, files.name)), "first");

  await fetchModel(one, at("worker"), []);
  assert.equal(asked.length, 5, "it lies here already");

  used.push(await idOf("other"));
  await fetchModel(used[1]!, at("worker"), [one]);
  assert.deepEqual(readdirSync(join(dir, "worker")).sort(), [...used].sort());
  rmSync(join(dir, "worker", used[1]!), { recursive: true });
  await fetchModel(used[1]!, at("worker"), []);
  assert.deepEqual(readdirSync(join(dir, "worker")), [used[1]]);
});

test("what was changed on the way is not kept, in its bytes or in its length", async () => {
  for (const bytes of ["firsT", "first and more"]) {
    tampered = new TextEncoder().encode(bytes);
    await assert.rejects(fetchModel(used[0]!, at("victim"), []), unavailable);
    assert.deepEqual(readdirSync(join(dir, "victim")), []);
  }
  tampered = undefined;
  assert.ok(await fetchModel(used[0]!, at("victim"), []));
});

test("nobody gets a model without a worker's secret, nor one that is not in use, nor another file", async () => {
  await assert.rejects(fetchModel(used[0]!, at("stranger", "nkw_wrong"), []), unavailable);
  put("third", "not in use");
  await assert.rejects(fetchModel(await idOf("third"), at("curious"), []), unavailable);
  const get = async (path: string): Promise<number> =>
    (await fetch(`${url}/nika/worker/models/${path}`, { headers: { authorization: `Bearer ${secret}` } })).status;
  const statuses = [await get(used[0]!), await get(`${used[0]}/${"0".repeat(64)}`), await get("..%2F..%2Fkeys")];
  assert.deepEqual(statuses, [200, 404, 404]);
});
