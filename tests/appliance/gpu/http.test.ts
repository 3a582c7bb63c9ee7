import assert from "node:assert/strict";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { createRefusal, failureOf, openHttp, redact, retryAfterMs, type JournalEntry } from "../../../appliance/gpu/http.ts";

const signal = AbortSignal.timeout(20_000);
const errors = (): ReturnType<typeof failureOf> => failureOf("invalid", "type", "No.");

async function served(listener: RequestListener): Promise<{ url: string; close: () => void }> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

test("a create whose answer is lost, broken or empty may have worked; one that was refused or never left has not", async () => {
  let how: RequestListener = (request) => void request.socket.destroy();
  const { url, close } = await served((request, response) => how(request, response));
  const http = openHttp({ vendor: "X", url, now: () => 0 });
  const { url: closedUrl, close: closeOther } = await served(() => undefined);
  closeOther();
  const nobody = openHttp({ vendor: "X", url: closedUrl, now: () => 0 });
  const create = async (at = http): Promise<string | undefined> =>
    createRefusal(await at.send({ method: "POST", path: "/", json: {} }, signal), errors, 0)?.type;

  assert.equal(await create(), "unknown");
  how = (_, response) => void response.writeHead(502).end();
  assert.equal(await create(), "unknown");
  how = (_, response) => void response.writeHead(422).end();
  assert.equal(await create(), "failed");
  how = (_, response) => void response.writeHead(201).end("{}");
  assert.equal(await create(), undefined);
  close();
  assert.equal(await create(nobody), "failed");
  assert.equal(createRefusal(await http.send({ method: "POST", path: "/" }, AbortSignal.abort()), errors, 0)?.type, "failed");
});

test("a vendor that wants to be left alone is left alone for that long, and no longer", async () => {
  let now = 1_000_000;
  let asked = 0;
  const { url, close } = await served((_, response) => {
    asked += 1;
    if (asked === 1) response.writeHead(429, { "retry-after": "12" });
    response.end("{}");
  });
  const http = openHttp({ vendor: "X", url, now: () => now, pace: { burst: 2, perMinute: 60 } });
  const ask = async (): Promise<unknown> =>
    await http.ask({ method: "GET", path: "/" }, signal, () => failureOf("rateLimit", "provider", "Slow"));

  await assert.rejects(ask(), { failure: { kind: "rateLimit", scope: "provider", says: "Slow.", retryAfterMs: 12_000 } });
  now += 11_000;
  await assert.rejects(ask(), (error: { failure?: { retryAfterMs?: number } }) => error.failure?.retryAfterMs === 1_000);
  assert.equal(asked, 1);
  now += 1_000;
  await ask();
  await ask();
  await assert.rejects(ask(), (error: { failure?: { retryAfterMs?: number } }) => error.failure?.retryAfterMs === 1_000);
  assert.equal(asked, 3);
  close();
});

test("waits are read in every form that vendors write them in", () => {
  const now = Date.parse("Sat, 21 Nov 2026 10:00:00 GMT");
  for (const [headers, wait] of [
    [{ "retry-after": "3" }, 3_000],
    [{ "retry-after": "Sat, 21 Nov 2026 10:00:05 GMT" }, 5_000],
    [{ ratelimit: '"minute";r=0;t=12, "hour";r=2800;t=1812' }, 12_000],
    [{ ratelimit: '"minute";r=4;t=12' }, undefined],
    [{ "x-ratelimit-remaining": "0", "x-ratelimit-reset": "7" }, 7_000],
    [{}, undefined],
  ] as const)
    assert.equal(retryAfterMs(new Headers(headers as Record<string, string>), now), wait, JSON.stringify(headers));
});

test("no secret reaches the journal or a sentence, in no form", async () => {
  const entries: JournalEntry[] = [];
  const { url, close } = await served((_, response) => void response.writeHead(204).end());
  const http = openHttp({
    vendor: "X",
    url,
    now: () => 0,
    journal: (entry) => entries.push(entry),
    headers: async () => ({ authorization: "Bearer s3cret/key" }),
  });

  await http.send({ method: "GET", path: `/?key=${encodeURIComponent("s3cret/key")}` }, signal);
  close();
  assert.equal(entries.length, 1);
  assert.equal(entries[0]?.status, 204);
  assert.ok(!JSON.stringify(entries).includes("s3cret"));
  assert.equal(redact(`a ${Buffer.from("s3cret/key").toString("base64")} b`, ["s3cret/key"]), "a [hidden] b");
});
