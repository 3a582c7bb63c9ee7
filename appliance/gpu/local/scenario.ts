/**
 * What befalls machines here when gpu/local.json asks for it: they are slow to start, not to be had, made while the answer is lost, or taken away.
 * Simulated, and said to be; drawn from a seed, so that the same happens again to the first, the second, … that is asked for.
 */
import { createHash } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Chances are from 0 to 1, spans in seconds. */
export type Scenario = {
  readonly seed: number;
  /** Shortest and longest. */
  readonly bootSeconds: readonly [number, number];
  readonly noCapacity: number;
  readonly lostAnswers: number;
  /** Befalls machines for work that may be taken away. `noticeSeconds` is how long before it is told; 0 for not at all. */
  readonly taken?: { readonly chance: number; readonly afterSeconds: readonly [number, number]; readonly noticeSeconds: number };
};

export type Fate = {
  readonly isRefused: boolean;
  readonly isAnswerLost: boolean;
  readonly bootMs: number;
  readonly taken?: { readonly afterMs: number; readonly noticeMs: number };
};

/** What stands before everything that it makes happen. */
export const simulated = "Simulated by gpu/local.json:";

/** Of the `nth` machine that is asked for, from 0. */
export function fateOf({ seed, bootSeconds, noCapacity, lostAnswers, taken }: Scenario, nth: number): Fate {
  const draw = (what: string): number => createHash("sha256").update(`${seed}/${nth}/${what}`).digest().readUInt32BE() / 2 ** 32;
  const between = ([from, to]: readonly [number, number], what: string): number =>
    Math.round((from + (to - from) * draw(what)) * 1_000);
  return {
    isRefused: draw("refused") < noCapacity,
    isAnswerLost: draw("lost") < lostAnswers,
    bootMs: between(bootSeconds, "boot"),
    ...(taken &&
      draw("taken") < taken.chance && {
        taken: { afterMs: between(taken.afterSeconds, "after"), noticeMs: Math.round(taken.noticeSeconds * 1_000) },
      }),
  };
}

/** The fate of the next one. How many there were is kept beside the setting; another seed begins anew. */
export function nextFate(dataDir: string, scenario: Scenario): Fate {
  const file = join(dataDir, "gpu", "scenario.json");
  let asked = 0;
  try {
    const kept = JSON.parse(readFileSync(file, "utf8")) as { readonly seed: number; readonly asked: number };
    if (kept.seed === scenario.seed && Number.isInteger(kept.asked)) ({ asked } = kept);
  } catch {
    // Nothing was asked for yet.
  }
  writeFileSync(`${file}.tmp`, JSON.stringify({ seed: scenario.seed, asked: asked + 1 }));
  renameSync(`${file}.tmp`, file);
  return fateOf(scenario, asked);
}

/** From the setting's file; a sentence when it is wrong. */
export function toScenario(value: unknown): Scenario | string {
  if (typeof value !== "object" || value === null) return "scenario is an object";
  const { seed = 1, bootSeconds = 0, noCapacity = 0, lostAnswers = 0, taken, ...rest } = value as Record<string, unknown>;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) return `"${unknown}" means nothing in a scenario`;
  const boot = toSpan(bootSeconds);
  if (typeof seed !== "number" || !Number.isInteger(seed)) return "seed is a whole number";
  if (boot === undefined) return "bootSeconds is a number, or the least and the most: [5, 20]";
  if (!isChance(noCapacity) || !isChance(lostAnswers)) return "noCapacity and lostAnswers are chances from 0 to 1";
  const base = { seed, bootSeconds: boot, noCapacity, lostAnswers };
  if (taken === undefined) return base;
  const { chance = 1, afterSeconds, noticeSeconds = 0, ...other } = Object(taken) as Record<string, unknown>;
  const after = toSpan(afterSeconds);
  const [more] = Object.keys(other);
  if (more !== undefined) return `"${more}" means nothing in taken`;
  if (!isChance(chance) || after === undefined || !(typeof noticeSeconds === "number" && noticeSeconds >= 0))
    return "taken has a chance from 0 to 1, afterSeconds (a number, or the least and the most) and noticeSeconds";
  return { ...base, taken: { chance, afterSeconds: after, noticeSeconds } };
}

const isChance = (value: unknown): value is number => typeof value === "number" && value >= 0 && value <= 1;
const daySeconds = 86_400;
const isSpan = (value: unknown): value is number => typeof value === "number" && value >= 0 && value <= daySeconds;

function toSpan(value: unknown): readonly [number, number] | undefined {
  if (isSpan(value)) return [value, value];
  if (!Array.isArray(value) || value.length !== 2 || !value.every((one) => isSpan(one))) return undefined;
  const [from = 0, to = 0] = value;
  return from <= to ? [from, to] : undefined;
}
