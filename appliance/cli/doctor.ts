/** `nika doctor`: looks at everything that must hold for Nika to work, and says what to do about what does not. */
import type { Config } from "../config.ts";
import { embedderCheck, engineCheck, searchCheck, vectorsCheck } from "./checkAppliance.ts";
import { clockCheck, dataCheck, dockerCheck, memoryCheck, nodeCheck, portCheck, type Check } from "./checkHost.ts";
import { toCliError } from "./exit.ts";
import { sandboxCheck } from "./sandbox.ts";
import type { Terminal } from "./terminal.ts";

/** Answers whether any check failed. */
export async function runDoctor(terminal: Terminal, config: Config, options: { json: boolean }): Promise<boolean> {
  const checks = await checkAll(config);
  if (options.json) terminal.json(checks);
  else for (const check of checks) printCheck(terminal, check);
  return checks.some(({ level }) => level === "fail");
}

/** All at once; a check that breaks is a failed check, never a failed doctor. */
async function checkAll(config: Config): Promise<Check[]> {
  const all: [string, () => Promise<Check> | Check][] = [
    ["Node", nodeCheck],
    ["Data", () => dataCheck(config.dataDir)],
    ["Clock", () => clockCheck(config.dataDir)],
    ["Memory", memoryCheck],
    ["Port", () => portCheck(config)],
    ["State", () => engineCheck(config)],
    ["Search", () => searchCheck(config)],
    ["Vectors", () => vectorsCheck(config)],
    ["Embedder", () => embedderCheck(config)],
    ["Docker", dockerCheck],
    ["Sandbox", () => sandboxCheck(config.dataDir)],
  ];
  return Promise.all(
    all.map(async ([name, check]) => {
      try {
        return await check();
      } catch (error) {
        return { name, level: "fail" as const, text: toCliError(error).message };
      }
    }),
  );
}

function printCheck(terminal: Terminal, { name, level, text, advice }: Check): void {
  const color = { ok: "green", warn: "yellow", fail: "red" } as const;
  terminal.line(`${terminal.style(color[level], level.padEnd(4))}  ${name.padEnd(9)} ${text}`);
  if (advice) terminal.line(`${" ".repeat(16)}→ ${advice}`);
}
