/** The exam of every model that reads pictures: it is played against a server that speaks the model's own wire format. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import type { VisionModel } from "../../functions/ports/vision.ts";

export type Seen = { readonly path: string; readonly headers: Readonly<Record<string, unknown>>; readonly body: unknown };

export type VisionCandidate = {
  readonly name: string;
  /** The service at `url`, with the key "secret-key". */
  open(url: string): VisionModel;
  /** The service's own answers. */
  readonly answers: {
    readonly text: (markdown: string) => unknown;
    readonly cut: (markdown: string) => unknown;
    readonly refused: unknown;
  };
  /** Fails when a request is not what the service expects. */
  check(seen: Seen): void;
};

const image = { bytes: new Uint8Array([1, 2, 3, 4]), mediaType: "image/png" as const };
const signal = AbortSignal.timeout(20_000);

export function visionContract({ name, open, answers, check }: VisionCandidate): void {
  const ask = async (
    status: number,
    answer: unknown,
  ): Promise<{ seen: Seen[]; read: () => ReturnType<VisionModel["read"]>; close: () => void }> => {
    const server = await standIn(status, answer);
    return { seen: server.seen, read: async () => await open(server.url).read(image, signal), close: server.close };
  };

  test(`${name}: the picture goes out as the service wants it and the text comes back`, async () => {
    const { seen, read, close } = await ask(200, answers.text("# Bail\n\n640 euros"));
    const reading = await read().finally(close);

    assert.deepEqual(reading, { type: "read", markdown: "# Bail\n\n640 euros", isCut: false });
    assert.equal(seen.length, 1);
    check(seen[0] as Seen);
  });

  test(`${name}: an answer that stopped in the middle says so, and a fence around it goes`, async () => {
    const { read, close } = await ask(200, answers.cut("```markdown\nhalf a\n```"));

    assert.deepEqual(await read().finally(close), { type: "read", markdown: "half a", isCut: true });
  });

  test(`${name}: a refusal is an answer`, async () => {
    const { read, close } = await ask(200, answers.refused);

    assert.equal((await read().finally(close)).type, "refused");
  });

  for (const [status, code] of [
    [429, "unavailable"],
    [500, "unavailable"],
    [503, "unavailable"],
    [529, "unavailable"],
    [401, "denied"],
    [400, "invalid"],
  ] as const)
    test(`${name}: ${status} is ${code}, and no message tells the key`, async () => {
      const { read, seen, close } = await ask(status, { error: { message: "secret-key is overloaded" } });

      await assert.rejects(
        read().finally(close),
        (error: Error & { code?: string }) => error.code === code && !error.message.includes("secret-key"),
      );
      assert.equal(seen.length, 1, "it was tried again");
    });

  for (const [what, answer] of [
    ["no JSON", "<html>"],
    ["another shape", { hello: 1 }],
    ["a list", []],
  ] as const)
    test(`${name}: ${what} is not understood`, async () => {
      const { read, close } = await ask(200, answer);

      await assert.rejects(read().finally(close), { code: "unavailable" });
    });

  test(`${name}: a service that is not there is unavailable, and a cancel is a cancel`, async () => {
    const { read, close } = await ask(200, {});
    close();

    await assert.rejects(read(), { code: "unavailable" });
    await assert.rejects(open("http://127.0.0.1:9").read(image, AbortSignal.abort()), { code: "cancelled" });
  });
}

/** A server on loopback that gives one answer to everything, or keeps silent, and notes what it was asked. */
export async function standIn(
  status: number | "silence",
  answer: unknown,
): Promise<{ url: string; seen: Seen[]; asked: Promise<void>; close: () => void }> {
  const seen: Seen[] = [];
  const { promise: asked, resolve: isAsked } = Promise.withResolvers<void>();
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const text = Buffer.concat(parts).toString("utf8");
      const isJson = request.headers["content-type"]?.includes("json");
      seen.push({ path: request.url ?? "", headers: request.headers, body: isJson ? (JSON.parse(text) as unknown) : text });
      isAsked();
      if (status === "silence") return;
      response.writeHead(status, { "content-type": "application/json" });
      response.end(typeof answer === "string" ? answer : JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    seen,
    asked,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
