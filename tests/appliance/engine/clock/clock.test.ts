import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ConvexClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";
import { ownEngine } from "../ownEngine.ts";
import { collector } from "../served.ts";

const bump = makeFunctionReference<"mutation", { name: string }, number>("work:bump");
const later = makeFunctionReference<"mutation", { name: string; inMs: number }, string>("work:later");
const count = makeFunctionReference<"query", { name: string }, number>("work:count");
const hourMs = 3600_000;

test("when the clock jumps an hour on or back, nothing is lost or done twice, and time goes on", async () => {
  const dir = mkdtempSync(join(tmpdir(), "nika-clock-"));
  const offset = join(dir, "offset");
  const set = (ms: number): void => writeFileSync(offset, String(ms));
  set(0);
  await using own = await ownEngine({
    dir: join(dir, "engine"),
    functionsDir: join(import.meta.dirname, "app"),
    flags: ["--import", `${new URL("steppedClock.ts", import.meta.url).href}?offset=${offset}`],
  });
  const client = new ConvexClient(own.url, { logger: false, unsavedChangesWarning: false });
  const watch = (name: string) => {
    const seen = collector<number>();
    client.onUpdate(count, { name }, seen.push);
    return seen;
  };
  const ticks = watch("tick");
  const waiting = watch("in half an hour");
  const answers: number[] = [];
  let lastTs = 0n;
  const state = { isOver: false };
  const writing = (async () => {
    while (!state.isOver) {
      answers.push(await client.mutation(bump, { name: "n" }));
      const response = await fetch(`${own.url}/api/query_ts`, { method: "POST" });
      const ts = Buffer.from(((await response.json()) as { ts: string }).ts, "base64").readBigUInt64LE();
      assert.ok(ts >= lastTs, "time went back");
      lastTs = ts;
    }
  })();
  await client.mutation(later, { name: "in half an hour", inMs: hourMs / 2 });

  for (const [turn, offsetMs] of [hourMs, 0, -hourMs, 0].entries()) {
    set(offsetMs);
    const soon = watch(`soon ${turn}`);
    // What is scheduled makes the scheduler look at the clock.
    await client.mutation(later, { name: `soon ${turn}`, inMs: 50 });
    await soon.until((value) => value === 1);
    const before = ticks.seen.at(-1) ?? 0;
    await ticks.until((value) => value > before);
    if (turn === 0) await waiting.until((value) => value === 1);
  }
  state.isOver = true;
  await writing;

  assert.deepEqual(
    answers,
    answers.map((_, at) => at + 1),
  );
  assert.equal(await client.query(count, { name: "n" }), answers.length);
  assert.equal(await client.query(count, { name: "in half an hour" }), 1);
  for (let turn = 0; turn < 4; turn++) assert.equal(await client.query(count, { name: `soon ${turn}` }), 1);
  assert.equal(client.connectionState().connectionCount, 1, "no socket was cut");
  await client.close();
  await own.kill();
  rmSync(dir, { recursive: true, force: true });
});
