import assert from "node:assert/strict";
import { createHash, generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { jwtVerify } from "jose";
import type { OpenedVisual } from "../../../appliance/embedder/opened.ts";
import { openDescriptor, openVisual, type VisualConfig } from "../../../appliance/embedder/visual.ts";
import { visualContract } from "../../contracts/visual.ts";
import { makeClip } from "../../fixtures/makeModel.ts";
import { drawn } from "../../fixtures/makePictures.ts";

const signal = AbortSignal.timeout(60_000);

function scratch(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), "nika-visual-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

async function open(t: TestContext, modelsDir: string, config: VisualConfig = { type: "local" }, log: string[] = []) {
  const visual = await openVisual({ config, modelsDir, log: (line) => log.push(line) });
  t.after(() => visual.close());
  return visual;
}

visualContract("the descriptor", async (t) => {
  const visual = openDescriptor();
  t.after(() => visual.close());
  return visual;
});

visualContract("a CLIP model on disk", async (t) => {
  const dir = scratch(t);
  makeClip(dir, "Xenova/clip-vit-base-patch32");
  return open(t, dir);
});

test("without a model pictures are described, and the log and the label say what that is worth", async (t) => {
  const log: string[] = [];
  const visual = await open(t, scratch(t), { type: "local" }, log);
  assert.deepEqual(log, ["pictures: nika-visual-v1: words of the picture and its looks, not its meaning"]);
  assert.equal(visual.seesMeaning, false);
});

test("a CLIP model's shorter vectors are filled up with zeros, and other weights are another embedder", async (t) => {
  const [one, two] = [scratch(t), scratch(t)];
  makeClip(one, "clip-vit-base-patch16");
  makeClip(two, "clip-vit-base-patch16", 7);
  const [visual, other] = [await open(t, one), await open(t, two)];

  const vector = await visual.text("the pump", signal);

  assert.ok(vector.slice(0, 512).some((value) => value !== 0));
  assert.ok(vector.slice(512).every((value) => value === 0));
  assert.match(visual.id, /^clip-vit-base-patch16-[0-9a-f]{12}$/);
  assert.notEqual(visual.id, other.id);
  assert.ok(visual.seesMeaning && !visual.isRemote);
  assert.equal((await open(t, one, { type: "descriptor" })).seesMeaning, false);
});

test("a CLIP model that does not work is an error and no reason to go on with other vectors", async (t) => {
  const dir = scratch(t);
  makeClip(dir, "Xenova/clip-vit-base-patch32");
  writeFileSync(join(dir, "Xenova/clip-vit-base-patch32/onnx/text_model_quantized.onnx"), "no graph");
  await assert.rejects(open(t, dir), { code: "invalid", message: /Xenova\/clip-vit-base-patch32 does not work/ });
});

// Vertex AI, against a server that speaks as Google's does.

const pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
const pem = pair.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
const email = "nika@project.iam.gserviceaccount.com";
const predictPath = "/v1/projects/a-project/locations/europe-west1/publishers/google/models/multimodalembedding@001:predict";

type Instance = { text?: string; image?: { bytesBase64Encoded: string; mimeType: string } };
type Google = {
  readonly url: string;
  readonly tokens: { count: number };
  readonly instances: Instance[];
  /** Statuses that the next predictions are answered with. */
  readonly troubles: number[];
  readonly tokenTroubles: number[];
};

async function google(t: TestContext): Promise<Google> {
  const google = { tokens: { count: 0 }, instances: [] as Instance[], troubles: [] as number[], tokenTroubles: [] as number[] };
  const server = createServer((request, response) => {
    const send = (status: number, body: object): void => {
      response.writeHead(status, { "content-type": "application/json; charset=UTF-8" }).end(JSON.stringify(body));
    };
    const refuse = (code: number): void =>
      send(code, { error: { code, message: `the secret ${pem.slice(30, 60)}`, status: "RESOURCE_EXHAUSTED" } });
    void read(request).then(async (text) => {
      if (request.url === "/token") {
        const trouble = google.tokenTroubles.shift();
        if (trouble !== undefined) return send(trouble, { error: "invalid_grant", error_description: "Invalid JWT Signature." });
        const form = new URLSearchParams(text);
        assert.equal(form.get("grant_type"), "urn:ietf:params:oauth:grant-type:jwt-bearer");
        const { payload, protectedHeader } = await jwtVerify(form.get("assertion") ?? "", pair.publicKey, {
          issuer: email,
          audience: `${url}/token`,
        });
        assert.equal(protectedHeader.alg, "RS256");
        assert.equal(payload["scope"], "https://www.googleapis.com/auth/cloud-platform");
        assert.equal(payload.exp! - payload.iat!, 3_600);
        google.tokens.count += 1;
        return send(200, { access_token: `ya29.${google.tokens.count}`, expires_in: 3_599, token_type: "Bearer" });
      }
      assert.equal(`${request.method} ${request.url}`, `POST ${predictPath}`);
      if (request.headers.authorization !== `Bearer ya29.${google.tokens.count}`) return refuse(401);
      const trouble = google.troubles.shift();
      if (trouble !== undefined) return refuse(trouble);
      const { instances, parameters } = JSON.parse(text) as { instances: Instance[]; parameters: { dimension: number } };
      assert.equal(instances.length, 1);
      const [instance] = instances as [Instance];
      google.instances.push(instance);
      const hash = createHash("sha256").update(JSON.stringify(instance)).digest();
      const values = Array.from({ length: parameters.dimension }, (_, at) => (hash[at % 32] ?? 0) / 100);
      send(200, { predictions: [instance.text === undefined ? { imageEmbedding: values } : { textEmbedding: values }], deployedModelId: "1" });
    }, () => refuse(500)); // prettier-ignore
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, ...google };
}

async function read(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts).toString("utf8");
}

async function vertex(t: TestContext, { url }: { url: string }, changes: object = {}, log: string[] = []): Promise<OpenedVisual> {
  const keyFile = join(scratch(t), "key.json");
  const key = { type: "service_account", project_id: "a-project", private_key_id: "k", private_key: pem, client_email: email };
  writeFileSync(keyFile, JSON.stringify({ ...key, token_uri: `${url}/token`, ...changes }));
  return open(t, "", { type: "vertex", keyFile, project: undefined, location: "europe-west1", url }, log);
}

visualContract("Vertex AI", async (t) => vertex(t, await google(t)));

test("Vertex AI gets each picture as a small PNG and each question as a text, on one token", async (t) => {
  const server = await google(t);
  const log: string[] = [];
  const visual = await vertex(t, server, {}, log);
  const bytes = await drawn({ type: "plan", seed: 1, size: 1_200 });

  await visual.images([{ bytes, words: "secret words" }], signal);
  await visual.text("a floor plan", signal);

  assert.equal(server.tokens.count, 1);
  const [image, text] = server.instances;
  assert.equal(image?.image?.mimeType, "image/png");
  const png = Buffer.from(image?.image?.bytesBase64Encoded ?? "", "base64");
  assert.deepEqual([png.readUInt32BE(16), png.readUInt32BE(20)], [512, 384]);
  assert.deepEqual(text, { text: "a floor plan" });
  assert.ok(visual.isRemote && /sent to Google/.test(visual.label));
  assert.match(log.join(), /NIKA_VISUAL/);
  assert.doesNotMatch(log.join(), /PRIVATE KEY|gserviceaccount/);
});

for (const [status, code] of [
  [429, "unavailable"],
  [500, "unavailable"],
  [503, "unavailable"],
  [403, "denied"],
  [404, "invalid"],
] as const)
  test(`Vertex AI: an answer of ${status} is "${code}", without a word of what the service said`, async (t) => {
    const server = await google(t);
    const visual = await vertex(t, server);
    server.troubles.push(status);
    await assert.rejects(visual.text("x", signal), (error: Error & { code: string }) => {
      assert.equal(error.code, code);
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
    assert.equal((await visual.text("x", signal)).length, 1_408);
  });

test("Vertex AI: a token called back is replaced once, a picture it does not take has no vector, and a key it does not take is denied", async (t) => {
  const server = await google(t);
  const visual = await vertex(t, server);
  await visual.text("x", signal);
  server.tokens.count += 1; // What was handed out no longer holds.
  assert.equal((await visual.text("y", signal)).length, 1_408);

  server.troubles.push(400);
  const bytes = await drawn({ type: "plan", seed: 1, size: 100 });
  assert.deepEqual(await visual.images([{ bytes, words: "" }], signal), [undefined]);

  const other = await vertex(t, server);
  server.tokenTroubles.push(400);
  await assert.rejects(other.text("x", signal), { code: "denied", message: /NIKA_VERTEX_KEY_FILE/ });
});

test("Vertex AI: a server that is not there or talks nonsense is unavailable", async (t) => {
  const visual = await vertex(t, { url: "http://127.0.0.1:1" });
  await assert.rejects(visual.text("x", signal), { code: "unavailable" });
});

test("Vertex AI: a key file that cannot be used says so at the start, and shows nothing of itself", async (t) => {
  const dir = scratch(t);
  const config = (keyFile: string): VisualConfig => ({
    type: "vertex",
    keyFile,
    project: undefined,
    location: "l",
    url: undefined,
  });
  await assert.rejects(open(t, dir, config(join(dir, "none.json"))), { code: "invalid", message: /cannot be read/ });
  for (const [content, message] of [
    ["-----BEGIN PRIVATE KEY-----secret", /is not JSON/],
    ['{"secret": 1}', /is not that of a service account/],
  ] as const) {
    writeFileSync(join(dir, "key.json"), content);
    await assert.rejects(open(t, dir, config(join(dir, "key.json"))), (error: Error) => {
      assert.match(error.message, message);
      assert.doesNotMatch(`${error.message} ${String(error.cause)}`, /secret|BEGIN/);
      return true;
    });
  }
});
