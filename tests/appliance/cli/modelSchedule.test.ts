import assert from "node:assert/strict";
import { test } from "node:test";
import { getFunctionName, type FunctionReference } from "convex/server";
import type { Client } from "../../../appliance/cli/client.ts";
import { runModelSchedule } from "../../../appliance/cli/modelSchedule.ts";
import type { Terminal } from "../../../appliance/cli/terminal.ts";
import type { LoraWish } from "../../../convex/model/model.ts";

/** What is asked for and told, where what is in force knows meanings. */
async function schedule(when: string, lora?: LoraWish): Promise<{ lines: string[]; asked: unknown[] }> {
  const lines: string[] = [];
  const asked: unknown[] = [];
  const client = {
    token: async () => "token",
    http: async () => ({
      query: async (name: FunctionReference<"query">) =>
        getFunctionName(name) === "models:outlook" ? { knowsMeanings: true } : [],
    }),
    post: async (_path: string, { body }: { body: { action: unknown } }) => {
      asked.push(body.action);
      return { rule: { type: "once", at: 0, zone: "UTC" }, action: body.action, nextAts: [], isEnabled: true };
    },
  } as unknown as Client;
  const terminal = { line: (text: string) => void lines.push(text) } as unknown as Terminal;
  await runModelSchedule(terminal, client, { when, deploy: false, lora, zone: "UTC", json: false });
  return { lines, asked };
}

test("when training is scheduled that could better nothing, it is said at once, and what to do", async () => {
  const { lines } = await schedule("weekly");
  assert.match(lines.at(-1) ?? "", /^Nothing will be trained .* `nika model schedule weekly --with lora`/u);
});

test("a schedule keeps that it trains beside a base, and for how much each time", async () => {
  const lora = { base: "small", costMax: { micros: 5_000_000, currency: "EUR" } } as const;
  const { lines, asked } = await schedule("weekly", lora);
  assert.deepEqual(asked, [{ type: "learn", deploys: false, lora }]);
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", /beside small, on a rented GPU for at most €5\.00 each time/u);
  await assert.rejects(schedule("off", lora), { code: "invalid" });
});
