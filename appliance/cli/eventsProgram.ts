/** The commands about the log of tool calls and decisions. See program.ts. */
import { InvalidArgumentError, type Command } from "commander";
import { clientOf, configOf, countFlag, isJson, jsonFlag, type Context } from "./context.ts";
import { findingsExit } from "./exit.ts";

const daysMax = 3_660;

export function addEventCommands(program: Command, context: Context): void {
  const { terminal, signal } = context;
  const events = program.command("events").summary("the log of tool calls and decisions, which only grows");
  events
    .command("verify")
    .summary("check that nothing in it was changed, taken out or cut off, and show its signed head")
    .option("--head <number:hash>", "a head that you wrote down earlier: the log must reach it", headOf)
    .addOption(jsonFlag())
    .action(async (flags: { head?: { seq: number; hash: string } }, command: Command) => {
      const { runVerify } = await import("./events.ts");
      const options = { json: isJson(command), open: () => clientOf(command), ...(flags.head && { written: flags.head }) };
      const isWhole = await runVerify(terminal, configOf(command), options);
      if (!isWhole) context.exit(findingsExit);
    });
  events
    .command("accept")
    .summary("say that you know why its end was missing, as after a backup was put back")
    .addOption(jsonFlag())
    .action(async (_flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runAcceptLog } = await import("./events.ts");
      await runAcceptLog(terminal, client, { json: isJson(command) });
    });
  events
    .command("stats")
    .summary("what was called how often, how long it took, what it weighed and cost")
    .option("--days <n>", "of so many days back", countFlag(daysMax), 30)
    .addOption(jsonFlag())
    .action(async (flags: { days: number }, command: Command) => {
      const { runStats } = await import("./eventStats.ts");
      await runStats(terminal, configOf(command), { days: flags.days, json: isJson(command) });
    });
  events
    .command("replay")
    .summary("an MCP server over this pipe that answers as was recorded, and asks nobody")
    .description(
      "Answers calls of tools with what was recorded for the same arguments, without any server and also while Nika does not run. What is recorded is " +
        'said in the configuration: "record": true. Each answer says that it is a recording, and of when.',
    )
    .argument("[server]", "what this server answered; all unless said")
    .action(async (server: string | undefined, _flags: object, command: Command) => {
      const { serveReplay } = await import("../mcp/log/replay.ts");
      const { dataDir, version } = configOf(command);
      await serveReplay({ dataDir, version, server, stdin: process.stdin, stdout: process.stdout, signal });
    });
}

function headOf(text: string): { seq: number; hash: string } {
  const [, seq, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (seq === undefined || hash === undefined)
    throw new InvalidArgumentError("It must be a number, a colon and 64 digits, as `nika events verify` shows them.");
  return { seq: Number(seq), hash };
}
