/** Runs functions in this thread's realm, one at a time. A realm is used again after a success and thrown away after anything else. */
import { readFileSync } from "node:fs";
import { limits } from "../codec/limits.ts";
import type { FunctionEntry } from "../txn/functions.ts";
import type { Run } from "../txn/syscalls.ts";
import { drive, type Guarded, type Outcome } from "./driver.ts";
import { compileBundle, openRealm, type Realm } from "./realm.ts";
import { openStackMapper, type StackMapper } from "./stackMap.ts";

export type Ran = {
  readonly outcome: Outcome;
  readonly logLines: readonly string[];
  readonly usedTime: boolean;
  readonly ms: number;
};

export type Runner = {
  /** Resolves after promises nobody waited for have had the chance to fail the run. */
  run(entry: FunctionEntry, args: string, run: Run, guarded: Guarded): Promise<Ran>;
  /** Makes a realm ahead of need. */
  warm(): void;
};

export type RunnerOptions = { readonly code: string; readonly map: string; readonly env: Readonly<Record<string, string>> };

/**
 * Has Node do now what it does between two turns: tell of rejections that nobody heard. A turn of its own for each run would cost as much
 * as a small run does. Node does not document it; without it, the turn is waited for.
 */
const tick = (process as { _tickCallback?: () => void })._tickCallback?.bind(process);

export function openRunner({ code, map, env }: RunnerOptions): Runner {
  const bundle = compileBundle(readFileSync(code, "utf8"));
  const mapStack = openStackMapper(map);
  let spare: Realm | undefined;
  let lost: { readonly reason: unknown } | undefined;
  // Promises of a realm that were rejected with nobody listening. Node tells of them once the running turn is over.
  process.on("unhandledRejection", (reason) => {
    lost ??= { reason };
  });
  return {
    warm: () => {
      spare ??= openRealm({ bundle, env, mapStack });
    },
    run: async (entry, args, run, guarded) => {
      const realm = spare ?? openRealm({ bundle, env, mapStack });
      spare = undefined;
      lost = undefined;
      const logLines: string[] = [];
      const log = (line: string) => {
        if (logLines.length < limits.logLinesMax) logLines.push(line);
      };
      const since = performance.now();
      const driven = drive({ run, realm, guarded, mapStack, log }, entry, args);
      const ms = performance.now() - since;
      if (tick) tick();
      else await new Promise<void>((resolve) => void setImmediate(resolve));
      const unheard = lost as { readonly reason: unknown } | undefined;
      const outcome = unheard && driven.outcome.ok ? unhandled(unheard.reason, mapStack) : driven.outcome;
      if (outcome.ok) spare = realm;
      return { outcome, logLines, usedTime: driven.usedTime, ms };
    },
  };
}

function unhandled(reason: unknown, mapStack: StackMapper): Outcome {
  const error = reason as { name?: string; message?: string; stack?: string } | undefined;
  const stack = (error?.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
  return {
    ok: false,
    message: [
      `Uncaught ${error?.name ?? "Error"}: ${error?.message ?? String(reason)}`,
      ...[mapStack(stack.join("\n"))].filter((lines) => lines !== ""),
    ].join("\n"),
  };
}
