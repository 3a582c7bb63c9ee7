/** Webhooks: who is let in, what is enqueued, and what comes twice. */
import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { functionRoutes } from "../../../appliance/owned/http.ts";
import { verify } from "../../../appliance/owned/signature.ts";
import { api, internal } from "../../../convex/_generated/api.js";
import { toNikaError } from "../../../convex/model/error.ts";
import { toManifest, type Manifest, type Webhook } from "../../../convex/model/userFunction.ts";
import type { SecretInfo, Secrets } from "../../../functions/ports/secrets.ts";
import { openFakeState, type FakeState } from "../../fakes/state.ts";

const manifestOf = (webhook: object): Manifest => toManifest("pay", { webhook }, ["index.ts"]);
const webhookOf = (webhook: object): Webhook => manifestOf(webhook).webhook as Webhook;
const key = randomBytes(32);
const secret = `whsec_${key.toString("base64")}`;
const now = Date.parse("2026-11-21T12:00:00Z");
const seconds = now / 1_000;

function signed(body: string, { id = "d1", at = seconds, with: by = key }: { id?: string; at?: number; with?: Buffer } = {}) {
  const signature = createHmac("sha256", by).update(`${id}.${at}.${body}`).digest("base64");
  return { "webhook-id": id, "webhook-timestamp": String(at), "webhook-signature": `v1,${signature}` };
}

const standard = webhookOf({});
for (const [what, headers, why] of [
  ["signed as it should be", signed("{}"), undefined],
  [
    "signed by a key that was replaced and by the new one",
    { ...signed("{}"), "webhook-signature": `v1,${randomBytes(32).toString("base64")} ${signed("{}")["webhook-signature"]}` },
    undefined,
  ],
  ["signed with another key", signed("{}", { with: randomBytes(32) }), /signature/],
  ["with another body", signed("{ }"), /signature/],
  ["with another id than was signed", { ...signed("{}"), "webhook-id": "d2" }, /signature/],
  ["with another time than was signed", { ...signed("{}"), "webhook-timestamp": String(seconds + 1) }, /signature/],
  ["of six minutes ago", signed("{}", { at: seconds - 360 }), /too old/],
  ["of six minutes ahead", signed("{}", { at: seconds + 360 }), /too old/],
  ["of four minutes ago", signed("{}", { at: seconds - 240 }), undefined],
  ["without a signature", { ...signed("{}"), "webhook-signature": undefined }, /no webhook-signature/],
  ["without a time", { ...signed("{}"), "webhook-timestamp": undefined }, /no webhook-timestamp/],
  ["without an id", { ...signed("{}"), "webhook-id": undefined }, /no webhook-id/],
  ["with an empty signature", { ...signed("{}"), "webhook-signature": "v1," }, /signature/],
] as const) {
  test(`a delivery ${what} is ${why ? "refused" : "taken"}`, () => {
    const verdict = verify(standard, secret, { headers, body: Buffer.from("{}"), now });
    assert.equal(verdict.ok, why === undefined);
    if (why) assert.match(verdict.ok ? "" : verdict.why, why);
  });
}

test("a body signed alone, as GitHub does it, is known again by its bytes whatever id stands beside it", () => {
  const github = webhookOf({ signs: "body" });
  const body = Buffer.from('{"zen":"…"}');
  const headers = { "x-hub-signature-256": `sha256=${createHmac("sha256", "a secret of ours").update(body).digest("hex")}` };
  const first = verify(github, "a secret of ours", { headers: { ...headers, "webhook-id": "1" }, body, now });
  const again = verify(github, "a secret of ours", { headers: { ...headers, "webhook-id": "2" }, body, now });
  assert(first.ok && again.ok);
  assert.equal(first.key, again.key);
  assert.equal(verify(github, "another", { headers, body, now }).ok, false);
  assert.equal(verify(github, undefined, { headers, body, now }).ok, false);
});

test("a manifest that holds a secret instead of its name is refused", () => {
  assert.throws(() => manifestOf({ secret: "whsec_c2VjcmV0" }), /name of a secret .*never the secret itself/);
  assert.throws(() => manifestOf({ verify: "sha1" }), /"verify" must be/);
});

type Lab = AsyncDisposable & {
  readonly url: string;
  readonly state: FakeState;
  readonly logged: string[];
  readonly read: () => number;
};

/** The routes behind a server of their own, over the control plane in memory. */
async function openLab(webhook: object): Promise<Lab> {
  const state = openFakeState();
  const manifest = manifestOf(webhook);
  await state.mutation(internal.functions.report, {
    functions: [{ name: "pay", state: "serving", sourceVersion: "1", version: "1", isBare: false, manifest }],
    isAll: true,
  });
  const logged: string[] = [];
  let reads = 0;
  const secrets = {
    list: async (): Promise<SecretInfo[]> => [{ name: "webhook.pay", setAt: 1 }],
    find: async () => {
      reads += 1;
      return secret;
    },
  } as unknown as Secrets;
  const find = functionRoutes({
    owned: { manifest: (name) => (name === "pay" ? manifest : undefined), remove: async () => {} },
    call: async () => ({ ok: true, output: "1", log: "" }),
    state,
    files: { write: async (_url, bytes) => state.upload(Buffer.from(bytes as Uint8Array).toString("utf8")) },
    secrets,
    now: () => now,
    log: (line) => logged.push(line),
  });
  const server = createServer((request, response) => {
    const send = (status: number, body: object): void => void response.writeHead(status).end(JSON.stringify(body));
    const route = find((request.url ?? "/").split("?", 1)[0] ?? "/");
    if (!route) return send(404, {});
    const exchange = { isOwner: (token: string) => token === "owner", readJson: async () => ({ name: "pay" }), send };
    route(request, response, exchange).catch((error: unknown) => {
      const { code, message } = toNikaError(error);
      send({ denied: 401, missing: 404, invalid: 400 }[code as string] ?? 500, { code, message });
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    state,
    logged,
    read: () => reads,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
      await state.close();
    },
  };
}

const post = (url: string, body: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> =>
  fetch(url, { method: "POST", body, headers: { "content-type": "application/json", ...headers } });
type Reply = { readonly id: string; readonly duplicate: boolean };

test("a signed delivery is enqueued and answered with its id; the same again is the same run", async () => {
  await using lab = await openLab({});
  const body = '{"amount":12}';
  const first = await post(`${lab.url}/hooks/pay?from=shop`, body, { ...signed(body), authorization: "Bearer theirs" });
  assert.equal(first.status, 202);
  const { id, duplicate } = (await first.json()) as Reply;
  assert.equal(duplicate, false);
  const run = await lab.state.owner.query(api.functions.invocation, { id });
  assert.deepEqual([run?.trigger, run?.state], ["webhook", "open"]);
  const input = JSON.parse(run?.input ?? "") as { body: unknown; query: unknown; headers: Record<string, string> };
  assert.deepEqual([input.body, input.query], [{ amount: 12 }, { from: "shop" }]);
  assert.deepEqual(
    ["authorization", "webhook-signature", "webhook-id"].map((name) => name in input.headers),
    [false, false, true],
  );
  const again = await post(`${lab.url}/hooks/pay`, body, signed(body));
  assert.deepEqual(await again.json(), { id, duplicate: true });
  assert.equal((await lab.state.owner.query(api.functions.invocations, {})).length, 1);
});

test("strangers are refused without a word on why, nothing is enqueued, and their flood reads no secret twice", async () => {
  await using lab = await openLab({});
  for (let i = 0; i < 5; i++) {
    const response = await post(`${lab.url}/hooks/pay`, "{}", signed("{}", { with: randomBytes(32) }));
    assert.equal(response.status, 401);
    assert.doesNotMatch(await response.text(), /old|signature is/);
  }
  assert.equal(lab.read(), 1);
  assert.equal((await lab.state.owner.query(api.functions.invocations, {})).length, 0);
  for (const name of ["other", "..%2Fpay", "PAY"]) assert.equal((await post(`${lab.url}/hooks/${name}`, "{}")).status, 404);
  assert.equal((await fetch(`${lab.url}/hooks/pay`)).status, 405);
});

test("a delivery that is too large is refused, and a large one is kept as a file", async () => {
  await using lab = await openLab({});
  const large = JSON.stringify({ text: "x".repeat(50_000) });
  const taken = await post(`${lab.url}/hooks/pay`, large, signed(large));
  assert.equal(taken.status, 202);
  const run = await lab.state.owner.query(api.functions.invocation, { id: ((await taken.json()) as Reply).id });
  assert.deepEqual([run?.input, typeof run?.inputUrl], [undefined, "string"]);
  const huge = "x".repeat(300_000);
  assert.equal((await post(`${lab.url}/hooks/pay`, huge, signed(huge, { id: "d2" }))).status, 413);
});

test("a public hook takes anybody, but not more than its share a minute", async () => {
  await using lab = await openLab({ verify: "none", perMinute: 3 });
  const statuses = [];
  for (let i = 0; i < 5; i++) statuses.push((await post(`${lab.url}/hooks/pay`, "{}")).status);
  assert.deepEqual(statuses, [202, 202, 202, 429, 429]);
});

test("only the owner may call, remove or set a secret over HTTP", async () => {
  await using lab = await openLab({});
  for (const verb of ["call", "remove", "secret"])
    assert.equal((await post(`${lab.url}/nika/functions/${verb}`, "{}", { authorization: "Bearer stranger" })).status, 401);
  assert.equal((await post(`${lab.url}/nika/functions/call`, "{}", { authorization: "Bearer owner" })).status, 200);
});
