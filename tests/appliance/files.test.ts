import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { NikaError } from "../../convex/model/error.ts";
import { storageFiles } from "../../appliance/files.ts";
import type { Files } from "../../functions/ports/files.ts";

const never = new AbortController().signal;
const content = Buffer.from("The keys of the mill. ".repeat(40_000));
const here = "http://storage.example/api/storage/here";

/** A storage that others keep, behind HTTP. `long` sends more than it said, `broken` half of it, `refused` has a bad day. */
async function far(t: TestContext): Promise<Files> {
  const server = createServer((request, response) => {
    const name = (request.url ?? "").split("/").at(-1);
    if (request.method === "POST")
      return void Array.fromAsync(request as AsyncIterable<Buffer>).then((parts) => {
        const kept = Buffer.concat(parts);
        if (kept.length > content.length) response.writeHead(507).end();
        else response.end(JSON.stringify({ storageId: `kept ${kept.toString()}` }));
      });
    if (name === "here") return void response.writeHead(200, { "content-length": content.length }).end(content);
    if (name === "long") return void response.writeHead(200).end(content);
    if (name === "refused") return void response.writeHead(500).end();
    if (name !== "broken") return void response.writeHead(404).end();
    response.writeHead(200, { "content-length": content.length });
    response.write(content.subarray(0, content.length / 2), () => response.destroy());
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => server.close());
  return storageFiles({ convexUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}

/** A storage in this process. Nothing listens where its addresses point. `lost` is known and not on the disk. */
function near(t: TestContext): Files {
  const dir = mkdtempSync(join(tmpdir(), "nika-files-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const path = join(dir, "blob");
  writeFileSync(path, content);
  const findFile = async (uuid: string) => {
    if (uuid !== "here" && uuid !== "lost") return undefined;
    return { path: uuid === "here" ? path : join(dir, "lost"), sizeBytes: content.length };
  };
  const keepFile = async (source: Iterable<Uint8Array> | AsyncIterable<Uint8Array>) => {
    const kept = Buffer.concat(await Array.fromAsync(source));
    if (kept.length > content.length) throw new NikaError("full", "The disk is full.");
    return `kept ${kept.toString()}`;
  };
  return storageFiles({ convexUrl: "http://127.0.0.1:1", near: { findFile, keepFile } });
}

const whole = async (pieces: AsyncIterable<Uint8Array>): Promise<Buffer> => Buffer.concat(await Array.fromAsync(pieces));

for (const [where, open] of [
  ["far", far],
  ["near", near],
] as const) {
  test(`a file kept ${where} is read at once or in pieces, as often as wanted`, async (t) => {
    const files = await open(t);
    const file = files.open(here, { sizeBytes: content.length });

    assert.deepEqual(Buffer.from(await files.read(here, { bytesMax: content.length, signal: never })), content);
    assert.deepEqual(await whole(file.pieces(never)), content);
    assert.deepEqual(await whole(file.pieces(never)), content);
    const sizes = (await Array.fromAsync(file.pieces(never))).map((piece) => piece.length);
    assert.ok(Math.max(...sizes) < content.length / 2, "pieces are small");
  });

  test(`of what is kept ${where}, a file that is gone or too large is told so, and no byte of it is taken`, async (t) => {
    const files = await open(t);
    const gone = here.replace(/here$/, "gone");
    const few = content.length - 1;

    await assert.rejects(files.read(gone, { bytesMax: few, signal: never }), { code: "missing" });
    await assert.rejects(whole(files.open(gone, { sizeBytes: few }).pieces(never)), { code: "missing" });
    await assert.rejects(files.read(here, { bytesMax: few, signal: never }), { code: "full" });
    await assert.rejects(whole(files.open(here, { sizeBytes: few }).pieces(never)), { code: "full" });
  });

  test(`bytes are kept ${where}, at once or in pieces, and a full disk is told`, async (t) => {
    const files = await open(t);
    const pieces = (...all: string[]) => ({
      sizeBytes: all.join("").length,
      async *pieces() {
        for (const piece of all) yield Buffer.from(piece);
      },
    });

    assert.equal(await files.write(here, Buffer.from("the mill"), { signal: never }), "kept the mill");
    assert.equal(await files.write(here, pieces("the ", "mill"), { signal: never }), "kept the mill");
    const tooMuch = Buffer.alloc(content.length + 1);
    await assert.rejects(files.write(here, tooMuch, { signal: never }), { code: "full" });
    await assert.rejects(files.write(here, pieces("the mill"), { signal: AbortSignal.abort() }), { code: "cancelled" });
  });

  test(`reading a file kept ${where} can be called off, before and in the middle`, async (t) => {
    const files = await open(t);
    const controller = new AbortController();

    await assert.rejects(files.read(here, { bytesMax: content.length, signal: AbortSignal.abort() }), { code: "cancelled" });
    await assert.rejects(
      async () => {
        for await (const _ of files.open(here, { sizeBytes: content.length }).pieces(controller.signal)) controller.abort();
      },
      { code: "cancelled" },
    );
  });
}

test("a storage that sends more than it holds, breaks off or refuses is told apart from a file that is gone", async (t) => {
  const files = await far(t);
  const read = (name: string): Promise<Uint8Array> =>
    files.read(here.replace(/here$/, name), { bytesMax: content.length - 1, signal: never });

  await assert.rejects(read("long"), { code: "full" });
  await assert.rejects(read("refused"), { code: "unavailable" });
  const broken = files.open(here.replace(/here$/, "broken"), { sizeBytes: content.length });
  await assert.rejects(whole(broken.pieces(never)), { code: "unavailable" });
});

test("a file that this process knows and the disk has not is gone", async (t) => {
  const lost = near(t).open(here.replace(/here$/, "lost"), { sizeBytes: content.length });

  await assert.rejects(whole(lost.pieces(never)), { code: "missing" });
});
