/** The commands about machines rented for work that waits. See program.ts. */
import { InvalidArgumentError, type Command } from "commander";
import type { ProviderId } from "../../convex/model/gpu.ts";
import { providers } from "../../convex/model/gpu.ts";
import { clientOf, isJson, jsonFlag, type Context } from "./context.ts";
import type { ScaleChanges } from "./scale.ts";

type SetFlags = Omit<ScaleChanges, "providers" | "isInEu" | "maySpot"> & {
  readonly providers?: readonly ProviderId[] | "any";
  readonly eu?: boolean;
  readonly spot?: boolean;
};

export function addScaleCommands(program: Command, context: Context): void {
  const scale = program
    .command("scale")
    .summary("rent machines when work waits, and let them go: what is set, what is there, what was decided and why")
    .addOption(jsonFlag())
    .action(async (_flags: object, command: Command) => {
      const { runScale } = await import("./scale.ts");
      await runScale(context.terminal, await clientOf(command), { json: isJson(command) });
    });
  for (const [name, isOn, summary] of [
    ["on", true, "rent from now on, within what is set here and the budgets of `nika gpu spend`"],
    ["off", false, "rent nothing more; what is there ends when it is idle"],
  ] as const)
    scale
      .command(name)
      .summary(summary)
      .action(async (_flags: object, command: Command) => {
        const { runScaleSet } = await import("./scale.ts");
        await runScaleSet(context.terminal, await clientOf(command), { isOn });
      });
  scale
    .command("set")
    .summary("say how many machines, from where, and how long work may wait")
    .option("--min <n>", "machines that are kept in any case", wholeOf)
    .option("--max <n>", "the most machines there may be", wholeOf)
    .option("--wait <minutes>", "how long 19 of 20 jobs may wait", minutesOf)
    .option("--cpu <percent>", "beyond this much of the processors the question is opened", shareOf)
    .option("--memory <percent>", "the same of memory", shareOf)
    .option("--queue <n>", "the same of jobs that wait", wholeOf)
    .option("--providers <list>", "where from, as in scaleway,runpod; any for all that are set up", providersOf)
    .option("--image <name>", "an image with this version of Nika in it, for containers elsewhere; machines need none")
    .option("--eu", "only in the European Union")
    .option("--no-eu", "anywhere")
    .option("--spot", "machines that may be taken away, too")
    .option("--no-spot", "none of those")
    .action(async ({ providers: from, eu, spot, ...flags }: SetFlags, command: Command) => {
      const { runScaleSet } = await import("./scale.ts");
      await runScaleSet(context.terminal, await clientOf(command), {
        ...flags,
        ...(from !== undefined && { providers: from }),
        ...(eu !== undefined && { isInEu: eu }),
        ...(spot !== undefined && { maySpot: spot }),
      });
    });
  scale
    .command("why")
    .summary("decide again what was decided last, from what was seen then, and compare")
    .addOption(jsonFlag())
    .action(async (_flags: object, command: Command) => {
      const { runScaleWhy } = await import("./scale.ts");
      await runScaleWhy(context.terminal, await clientOf(command), { json: isJson(command) });
    });
}

/** `nika gpu sim`, under the command that is handed in. */
export function addSimCommand(gpu: Command, context: Context): void {
  gpu
    .command("sim")
    .summary("try the rules of scaling on simulated days, beside others; rents nothing")
    .option("--seed <n>", "the same seed gives the same days", wholeOf, 1)
    .addOption(jsonFlag())
    .action(async ({ seed }: { seed: number }, command: Command) => {
      const { runGpuSim } = await import("./gpuSim.ts");
      runGpuSim(context.terminal, { seed, json: isJson(command) });
    });
}

function wholeOf(text: string): number {
  if (!/^\d{1,9}$/u.test(text)) throw new InvalidArgumentError("It must be a whole number from 0.");
  return Number(text);
}

function shareOf(text: string): number {
  const percent = Number(text.replace(/\s*%$/u, ""));
  if (!(percent >= 1 && percent <= 100)) throw new InvalidArgumentError("It must be from 1 to 100 percent.");
  return percent / 100;
}

function minutesOf(text: string): number {
  const minutes = Number(text);
  if (!(minutes > 0 && minutes <= 1_440)) throw new InvalidArgumentError("It must be a number of minutes up to 1440.");
  return minutes * 60_000;
}

function providersOf(text: string): readonly ProviderId[] | "any" {
  if (text === "any") return "any";
  const names = text.split(",").map((name) => name.trim());
  const unknown = names.find((name) => !(providers as readonly string[]).includes(name));
  if (unknown !== undefined) throw new InvalidArgumentError(`"${unknown}" is none of ${providers.join(", ")}.`);
  return names as ProviderId[];
}
