/** `nika runs …`: functions of many steps, what became of them, and what to do about it. */
import { Option, type Command } from "commander";
import { clientOf, jsonFlag, isJson, type Context } from "./context.ts";
import type { RunVerb } from "./runs.ts";

/** Adds `runs` with its subcommands. */
export function addRunCommands(program: Command, context: Context): void {
  const runs = program.command("runs").summary("work of several steps: what it did, what it waits for, what to do about it");
  const list = async (_flags: object, command: Command): Promise<void> => {
    const { listRuns } = await import("./runs.ts");
    await listRuns(context.terminal, await clientOf(command), isJson(command));
  };
  runs.addOption(jsonFlag()).action(list);
  runs.command("list").summary("those under way, then those that ended, the latest first").addOption(jsonFlag()).action(list);
  runs
    .command("show <id>")
    .summary("one run, step by step")
    .addOption(jsonFlag())
    .action(async (id: string, _flags: object, command: Command) => {
      const { showRun } = await import("./runs.ts");
      await showRun(context.terminal, await clientOf(command), id, isJson(command));
    });
  const summaries: Record<RunVerb, string> = {
    cancel: "stop a run and everything it began",
    resume: "go on with a run that was put aside",
    restart: "begin a run anew; what it has sent is sent again",
  };
  for (const [verb, summary] of Object.entries(summaries) as [RunVerb, string][])
    runs
      .command(`${verb} <id>`)
      .summary(summary)
      .action(async (id: string, _flags: object, command: Command) => {
        const { actOnRun } = await import("./runs.ts");
        await actOnRun(context.terminal, await clientOf(command), verb, id);
      });
  runs
    .command("signal <id> <kind> [body]")
    .summary("say something to a run; the body is JSON")
    .action(async (id: string, kind: string, ...[body = "null", , command]: [string | undefined, object, Command]) => {
      const { signalRun } = await import("./runs.ts");
      await signalRun(context.terminal, await clientOf(command), { id, kind, body });
    });
  runs
    .command("decide <id> <step>")
    .summary("say of a step that nobody knows of whether it happened")
    .addOption(
      new Option("--as <word>", "it happened; it did not and is not to; or do it once more")
        .choices(["sent", "failed", "again"])
        .makeOptionMandatory(),
    )
    .option("--result <json>", "what came of it, with --as sent")
    .action(async (id: string, step: string, flags: { as: "sent" | "failed" | "again"; result?: string }, command: Command) => {
      const { decideStep } = await import("./runs.ts");
      await decideStep(context.terminal, await clientOf(command), { id, step, as: flags.as, result: flags.result });
    });
  runs
    .command("start <name> [args]")
    .summary("begin a run; the arguments are one JSON object")
    .addOption(jsonFlag())
    .action(async (name: string, args: string | undefined, _flags: object, command: Command) => {
      const { startRun } = await import("./runs.ts");
      await startRun(context.terminal, await clientOf(command), { name, args: args ?? "{}", json: isJson(command) });
    });
}
