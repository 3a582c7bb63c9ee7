import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fateOf, nextFate, toScenario, type Scenario } from "../../../../appliance/gpu/local/scenario.ts";
import { readLocalSetting } from "../../../../appliance/gpu/local/setting.ts";

const dataDir = mkdtempSync(join(tmpdir(), "nikaScenario"));
mkdirSync(join(dataDir, "gpu"));
after(() => rmSync(dataDir, { recursive: true }));
const scenario: Scenario = {
  seed: 7,
  bootSeconds: [5, 20],
  noCapacity: 0.3,
  lostAnswers: 0.2,
  taken: { chance: 0.5, afterSeconds: [60, 600], noticeSeconds: 30 },
};

test("the same seed plays the same again, about as often as its chances say and within its spans", () => {
  const fates = Array.from({ length: 500 }, (_, nth) => fateOf(scenario, nth));
  assert.deepEqual(
    fates,
    fates.map((_, nth) => fateOf(scenario, nth)),
  );
  assert.notDeepEqual(fateOf({ ...scenario, seed: 8 }, 0), fates[0]);
  const share = (of: (fate: (typeof fates)[number]) => boolean): number => fates.filter((fate) => of(fate)).length / fates.length;
  assert.ok(Math.abs(share(({ isRefused }) => isRefused) - 0.3) < 0.08);
  assert.ok(Math.abs(share(({ isAnswerLost }) => isAnswerLost) - 0.2) < 0.08);
  assert.ok(Math.abs(share(({ taken }) => taken !== undefined) - 0.5) < 0.08);
  assert.ok(fates.every(({ bootMs }) => bootMs >= 5_000 && bootMs <= 20_000));
  assert.ok(
    fates.every(({ taken }) => !taken || (taken.afterMs >= 60_000 && taken.afterMs <= 600_000 && taken.noticeMs === 30_000)),
  );
});

test("which machine it is outlives the appliance, and another seed begins anew", () => {
  const next = (seed: number) => nextFate(dataDir, { ...scenario, seed });
  assert.deepEqual([next(7), next(7)], [fateOf(scenario, 0), fateOf(scenario, 1)]);
  assert.deepEqual(next(8), fateOf({ ...scenario, seed: 8 }, 0));
  assert.deepEqual(next(7), fateOf(scenario, 0));
});

test("what the file says is checked, and what is wrong is named", () => {
  const file = join(dataDir, "gpu", "local.json");
  writeFileSync(file, JSON.stringify({ scenario: { seed: 3, bootSeconds: 4, taken: { afterSeconds: [5, 8] } } }));
  assert.deepEqual(readLocalSetting(dataDir).scenario, {
    seed: 3,
    bootSeconds: [4, 4],
    noCapacity: 0,
    lostAnswers: 0,
    taken: { chance: 1, afterSeconds: [5, 8], noticeSeconds: 0 },
  });
  for (const [wrong, says] of [
    [7, /is an object/u],
    [{ sead: 1 }, /"sead" means nothing/u],
    [{ seed: 1.5 }, /whole number/u],
    [{ bootSeconds: [9, 3] }, /bootSeconds/u],
    [{ noCapacity: 2 }, /chances/u],
    [{ taken: {} }, /afterSeconds/u],
    [{ taken: { afterSeconds: 1, notice: 3 } }, /"notice" means nothing/u],
  ] as const)
    assert.match(toScenario(wrong) as string, says);
  writeFileSync(file, JSON.stringify({ scenario: { noCapacity: -1 } }));
  assert.throws(() => readLocalSetting(dataDir), { code: "invalid" });
});
