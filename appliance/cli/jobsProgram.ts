/** `nika jobs …`: what is done, what failed for good, and what to do about it. */
import { Option, type Command } from "commander";
import { clientOf, jsonFlag, isJson, type Context } from "./context.ts";

/** Adds the subcommands of `jobs`. */
export function addJobCommands(jobs: Command, context: Context): void {
  jobs
    .command("show <id>")
    .summary("one job and what befell it")
    .addOption(jsonFlag())
    .action(async (id: string, _flags: object, command: Command) => {
      const { showJob } = await import("./jobs.ts");
      await showJob(context.terminal, await clientOf(command), id, isJson(command));
    });
  jobs
    .command("dead")
    .summary("what failed for good, the latest first")
    .option("--kind <kind>", "of this kind only")
    .addOption(jsonFlag())
    .action(async (flags: { kind?: string }, command: Command) => {
      const { listDead } = await import("./jobs.ts");
      await listDead(context.terminal, await clientOf(command), { kind: flags.kind, json: isJson(command) });
    });
  jobs
    .command("redrive [id]")
    .summary("try again what failed for good: one job, one kind, or all")
    .addOption(new Option("--kind <kind>", "all of this kind").conflicts("all"))
    .option("--all", "all of them")
    .action(async (id: string | undefined, flags: { kind?: string; all?: true }, command: Command) => {
      const { redriveJobs } = await import("./jobs.ts");
      await redriveJobs(context.terminal, await clientOf(command), { id, kind: flags.kind, all: flags.all === true });
    });
  jobs
    .command("cancel <id>")
    .summary("stop a job, or keep it from beginning")
    .action(async (id: string, _flags: object, command: Command) => {
      const { cancelJob } = await import("./jobs.ts");
      await cancelJob(context.terminal, await clientOf(command), id);
    });
}
