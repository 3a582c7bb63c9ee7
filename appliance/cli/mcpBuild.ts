/** `nika mcp build`: from a document of a service to an MCP server. See docs/mcpBuilder.md. */
import { existsSync } from "node:fs";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text as readAll } from "node:stream/consumers";
import { createInterface } from "node:readline/promises";
import { NikaError } from "../../convex/model/error.ts";
import type { Config } from "../config.ts";
import { dockerSandboxes } from "../docker/sandboxes.ts";
import { build, planFor, rebuild, type BuildOptions, type Built } from "../mcp/build/build.ts";
import type { PlanWishes } from "../mcp/build/makePlan.ts";
import type { Plan } from "../mcp/build/plan.ts";
import { readPlan } from "../mcp/build/planFile.ts";
import { toPlanText } from "../mcp/build/planText.ts";
import { readHanded, toHanded, type Handed } from "../mcp/build/source.ts";
import { interrupted } from "./live.ts";
import type { Terminal } from "./terminal.ts";
import { countOf, printable } from "./text.ts";

export type McpBuildOptions = PlanWishes & {
  /** A file, an address, `-` for standard input, or the folder of a server that was made; undefined with a plan of its own. */
  readonly spec: string | undefined;
  readonly planFile: string | undefined;
  /** Where the plan is written to instead of making anything; "" prints it. */
  readonly planTo: string | undefined;
  readonly out: string | undefined;
  readonly yes: boolean;
  readonly isReplacing: boolean;
  readonly withSkill: boolean;
  readonly json: boolean;
  readonly signal: AbortSignal;
};

/** Whether what was made is good; also when only a plan was wanted. Needs no Nika that runs. */
export async function runMcpBuild(terminal: Terminal, config: Config, options: McpBuildOptions): Promise<boolean> {
  const { spec, json, signal } = options;
  const isFolder = spec !== undefined && (await stat(spec).catch(() => undefined))?.isDirectory() === true;
  try {
    if (isFolder) return told(terminal, await rebuild(spec, toBuild(terminal, config, options)), options);
    const plan = await planOf(options);
    if (options.planTo !== undefined) {
      await showPlan(terminal, plan, options);
      return true;
    }
    if (!json) show(terminal, plan);
    if (!options.yes) await confirm(terminal, plan, signal);
    return told(terminal, await build(plan, toBuild(terminal, config, options)), options, plan);
  } catch (error) {
    throw signal.aborted ? interrupted() : error;
  }
}

async function planOf({ spec, planFile, signal, ...wishes }: McpBuildOptions): Promise<Plan> {
  if (planFile !== undefined) {
    if (spec !== undefined) throw new NikaError("invalid", "A plan says all there is to say; give it alone.");
    const source = await readFile(planFile, "utf8").catch((cause: unknown) => {
      throw new NikaError("missing", `There is no file ${planFile}.`, { cause });
    });
    const plan = readPlan(source);
    return wishes.name === undefined || wishes.name === plan.name
      ? plan
      : fail(`The plan is for "${plan.name}"; change its name there, with the names of its secrets.`);
  }
  if (spec === undefined) return fail("Say what to make it from: a file, an address, or - for standard input.");
  const handed: Handed = spec === "-" ? toHanded(await readAll(process.stdin), "standard input") : await readHanded(spec, signal);
  return planFor(handed, wishes);
}

function fail(why: string): never {
  throw new NikaError("invalid", why);
}

function toBuild(terminal: Terminal, config: Config, options: McpBuildOptions): BuildOptions {
  return {
    dataDir: config.dataDir,
    sharedFile: config.mcp.sharedFile,
    out: options.out,
    withSkill: options.withSkill,
    isReplacing: options.isReplacing,
    sandboxes: dockerSandboxes({ dataDir: config.dataDir, mountRoots: ["/"] }),
    step: (words) => {
      if (!options.json) terminal.note(`${words} …`);
    },
    signal: options.signal,
  };
}

async function showPlan(terminal: Terminal, plan: Plan, { planTo = "", json }: McpBuildOptions): Promise<void> {
  if (planTo === "") {
    if (json) terminal.json(plan);
    else show(terminal, plan);
    return;
  }
  if (existsSync(planTo)) throw new NikaError("conflict", `${planTo} is there already; name a new file.`);
  await writeFile(planTo, `${JSON.stringify(plan, undefined, 2)}\n`, { mode: 0o600 });
  terminal.note(`The plan is in ${planTo}; edit it, and make it with \`nika mcp build --plan-file ${planTo}\`.`);
}

function show(terminal: Terminal, plan: Plan): void {
  for (const line of toPlanText(plan).split("\n")) terminal.line(printable(line));
}

async function confirm(terminal: Terminal, { name, tools }: Plan, signal: AbortSignal): Promise<void> {
  if (!terminal.isInteractive || !process.stdin.isTTY)
    throw new NikaError("invalid", "Nobody is here to agree to the plan; add --yes, or --plan to see it first.");
  const prompt = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const reply = await prompt.question(`Make the server ${name} with ${countOf(tools.length, "tool")}? [y/N] `, { signal });
    if (!/^\s*(?:y|yes|o|oui)\s*$/iu.test(reply)) throw new NikaError("cancelled", "Nothing was made.");
  } finally {
    prompt.close();
  }
}

function told(terminal: Terminal, built: Built, { json }: McpBuildOptions, plan?: Plan): boolean {
  const { name, dir, declaredIn, trial } = built;
  if (json) {
    terminal.json(built);
    return trial.isGood;
  }
  const where =
    trial.way === "sandbox"
      ? "in a sandbox without network"
      : "as a process that may only read its folder, because there is no container engine";
  terminal.line(`${countOf(trial.passed, "contract test")} passed, ${trial.failed} failed, ${where}.`);
  if (!trial.isGood) {
    for (const line of trial.said.split("\n")) terminal.line(`  ${printable(line)}`);
    terminal.line(terminal.style("red", `${name} was not declared, so Nika does not run it.`));
    if (existsSync(join(dir, "mcp.toml")))
      terminal.line(`What stands in ${dir} can be looked at; try it again with \`nika mcp build ${dir}\`.`);
    return false;
  }
  terminal.line(`${name} stands in ${dir} and is declared in ${declaredIn}.`);
  const secrets = plan?.auth ?? [];
  for (const { kind, secret } of secrets)
    terminal.line(
      kind === "oauth2" ? `  Sign in:   nika mcp grant ${name} --client-id ID` : `  Sign in:   nika secrets set ${secret}`,
    );
  terminal.line(`  See it:    nika mcp test ${name}`);
  terminal.line(`  Let it be used: nika mcp approve ${name}`);
  return true;
}
