/** The commands about functions that the owner wrote. See program.ts. */
import type { Command } from "commander";
import { clientOf, configOf, jsonFlag, isJson, countFlag, type Context } from "./context.ts";

const runsMax = 200;

export function addFunctionsCommands(program: Command, context: Context): void {
  program.commandsGroup("Your functions:");
  const { terminal, signal } = context;
  const functions = program
    .command("functions")
    .summary("code of yours that Nika runs in sandboxes: by name, by schedule, by webhook")
    .description(
      "Functions of yours, in TypeScript or Python, that Nika runs in sandboxes. They lie in DATA/functions; an edit there counts at once. " +
        "docs/functions.md has a worked example.",
    )
    .addOption(jsonFlag())
    .action(async (_flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runList } = await import("./userFunctions.ts");
      await runList(terminal, client, { json: isJson(command) });
    });
  functions
    .command("list")
    .summary("all of them, and how they do")
    .addOption(jsonFlag())
    .action(async (_flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runList } = await import("./userFunctions.ts");
      await runList(terminal, client, { json: isJson(command) });
    });
  functions
    .command("new")
    .summary("a folder to begin with, in the current one")
    .argument("<name>", "small letters, digits and hyphens")
    .option("--python", "in Python instead of TypeScript")
    .option("--dir <folder>", "where to put it", ".")
    .addOption(jsonFlag())
    .action(async (name: string, flags: { python?: true; dir: string }, command: Command) => {
      const { runNew } = await import("./userFunctions.ts");
      await runNew(terminal, { name, isPython: flags.python === true, dir: flags.dir, json: isJson(command) });
    });
  functions
    .command("deploy")
    .summary("hand over a folder or a file, and wait until it answers")
    .argument("<path>", "the folder, or a single .ts, .js or .py file")
    .option("--name <name>", "another name than that of the folder or file")
    .addOption(jsonFlag())
    .action(async (path: string, flags: { name?: string }, command: Command) => {
      const client = await clientOf(command);
      const { runDeploy } = await import("./userFunctions.ts");
      const { dataDir } = configOf(command);
      await runDeploy(terminal, client, { path, name: flags.name, dataDir, json: isJson(command), signal });
    });
  functions
    .command("invoke")
    .summary("call one and print what it answers")
    .argument("<name>", "which")
    .argument("[input]", "JSON, or a text; @FILE reads a file, - standard input")
    .option("--logs", "show what it says, on standard error")
    .option("--job", "as a job: it outlives this command, and is tried again when it fails")
    .addOption(jsonFlag())
    .action(async (name: string, input: string | undefined, flags: { logs?: true; job?: true }, command: Command) => {
      const client = await clientOf(command);
      const { runInvoke } = await import("./userFunctions.ts");
      const { logs, job } = flags;
      await runInvoke(terminal, client, {
        name,
        input,
        hasLogs: logs === true,
        isJob: job === true,
        json: isJson(command),
        signal,
      });
    });
  functions
    .command("logs")
    .summary("what its runs said")
    .argument("<name>", "which")
    .option("--follow", "go on with what comes, as it comes, until Ctrl-C")
    .option("--limit <n>", "how many runs to begin with", countFlag(runsMax), 10)
    .addOption(jsonFlag())
    .action(async (name: string, flags: { follow?: true; limit: number }, command: Command) => {
      const client = await clientOf(command);
      const { runFunctionLogs } = await import("./userFunctions.ts");
      const { limit, follow } = flags;
      await runFunctionLogs(terminal, client, { name, limit, isFollowing: follow === true, json: isJson(command), signal });
    });
  functions
    .command("show")
    .summary("one of them: what it may, how it is called, its last runs")
    .argument("<name>", "which")
    .addOption(jsonFlag())
    .action(async (name: string, _flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runShow } = await import("./userFunctions.ts");
      await runShow(terminal, client, { name, json: isJson(command) });
    });
  functions
    .command("allow")
    .summary("let one run without a sandbox where there is none, or no longer")
    .argument("<name>", "which")
    .option("--bare", "as a process that may read no files and see no environment, but is free to use the network")
    .option("--no-bare", "in a sandbox or not at all")
    .addOption(jsonFlag())
    .action(async (name: string, flags: { bare?: boolean }, command: Command) => {
      if (flags.bare === undefined) return command.error("error: say --bare or --no-bare");
      const client = await clientOf(command);
      const { runAllow } = await import("./userFunctions.ts");
      await runAllow(terminal, client, { name, isBare: flags.bare, json: isJson(command) });
    });
  functions
    .command("secret")
    .summary("a new secret for its webhook, shown once")
    .argument("<name>", "which")
    .option("--from <file>", "keep the one in this file instead; - reads standard input")
    .addOption(jsonFlag())
    .action(async (name: string, flags: { from?: string }, command: Command) => {
      const client = await clientOf(command);
      const { runSecret } = await import("./userFunctions.ts");
      await runSecret(terminal, client, { name, file: flags.from, json: isJson(command) });
    });
  functions
    .command("remove")
    .summary("take it away, with its files and what is known of its runs")
    .argument("<name>", "which")
    .addOption(jsonFlag())
    .action(async (name: string, _flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runRemove } = await import("./userFunctions.ts");
      await runRemove(terminal, client, { name, json: isJson(command) });
    });
}
