/** The commands about workers on other machines. See program.ts. */
import { InvalidArgumentError, type Command } from "commander";
import { NikaError } from "../../convex/model/error.ts";
import { clientOf, configOf, jsonFlag, isJson, type Context } from "./context.ts";

type JoinFlags = { readonly join?: string; readonly tokenFile?: string; readonly token?: string; readonly slots?: number };

export function addWorkerCommands(program: Command, context: Context): void {
  program.commandsGroup("Other machines:");
  const worker = program
    .command("worker")
    .summary("work for a Nika on another machine, or see who does")
    .description(
      "With --join, this machine works for the Nika at that address until Ctrl-C: it takes jobs that it can do, and keeps nothing. The token comes " +
        "from a file, from NIKA_WORKER_TOKEN, from a pipe or from a prompt; `nika worker token` at the other machine makes one.",
    )
    .option("--join <url>", "where that Nika is, as in https://nika.example.org", urlOf)
    .option("--token-file <file>", "a file that holds the token")
    .option("--token <token>", "the token itself; other users of this machine can read it, so use --token-file")
    .option("--slots <n>", "how many files to read at a time (default: NIKA_SLOTS, or 4)", slotsOf)
    .action(async (flags: JoinFlags, command: Command) => {
      if (flags.join === undefined)
        throw new NikaError("invalid", "Say what to join, with --join URL; or see `nika worker --help`.");
      const { runWorker } = await import("./worker.ts");
      const { join: url, tokenFile, token, slots } = flags;
      await runWorker(context.terminal, configOf(command), { url, tokenFile, token, slots, signal: context.signal });
    });
  worker
    .command("token")
    .summary("a token that lets one machine join; shown once")
    .option("--name <name>", "what that machine is called here")
    .addOption(jsonFlag())
    .action(async (flags: { name?: string }, command: Command) => {
      const { runWorkerToken } = await import("./worker.ts");
      await runWorkerToken(context.terminal, await clientOf(command), { name: flags.name, json: isJson(command) });
    });
  worker
    .command("list")
    .summary("who works for this Nika, and who may")
    .addOption(jsonFlag())
    .action(async (_flags: object, command: Command) => {
      const { runWorkerList } = await import("./worker.ts");
      await runWorkerList(context.terminal, await clientOf(command), { json: isJson(command) });
    });
  worker
    .command("revoke <name>")
    .summary("send a machine away at once; what it held goes to others")
    .addOption(jsonFlag())
    .action(async (name: string, _flags: object, command: Command) => {
      const { runWorkerRevoke } = await import("./worker.ts");
      await runWorkerRevoke(context.terminal, await clientOf(command), { name, json: isJson(command) });
    });
}

function urlOf(text: string): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/u.test(url.protocol)) throw new InvalidArgumentError("It must be an http or https address.");
  return url.origin;
}

function slotsOf(text: string): number {
  const slots = Number(text);
  if (!Number.isInteger(slots) || slots < 1 || slots > 64) throw new InvalidArgumentError("It must be a number from 1 to 64.");
  return slots;
}
