import assert from "node:assert/strict";
import { test } from "node:test";
import { ConvexClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";
import { ownEngine } from "./ownEngine.ts";
import { collector } from "./served.ts";

const bump = makeFunctionReference<"mutation", { name: string }, number>("notes:bump");
const count = makeFunctionReference<"query", { name: string }, number>("notes:count");

test("mutations on their way when the process is killed happen once, however often it is killed", async () => {
  await using own = await ownEngine();
  const client = new ConvexClient(own.url, { logger: false });
  const seen = collector<number>();
  client.onUpdate(count, { name: "n" }, seen.push);
  await seen.until((value) => value === 0);

  const answers: Promise<number>[] = [];
  for (let kill = 1; kill <= 2; kill++) {
    for (let i = 0; i < 40; i++) answers.push(client.mutation(bump, { name: "n" }));
    // In the middle of them: some are durable, some are on their way, some are not begun.
    const half = answers.length - 40 + kill * 13;
    await answers[half];
    await own.kill();
    await own.start();
  }

  assert.deepEqual(
    await Promise.all(answers),
    Array.from({ length: 80 }, (_, i) => i + 1),
  );
  await seen.until((value) => value === 80);
  // What a client saw is never taken back.
  assert.deepEqual(
    seen.seen,
    seen.seen.toSorted((a, b) => a - b),
  );
  await client.close();
});
