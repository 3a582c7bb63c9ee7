/** The commands about secrets. See program.ts. */
import { InvalidArgumentError, Option, type Command } from "commander";
import { clientOf, configOf, jsonFlag, isJson, type Context } from "./context.ts";

export function addSecretCommands(program: Command, context: Context): void {
  program.commandsGroup("Secrets:");
  const secrets = program
    .command("secrets")
    .summary("keys and passwords that Nika uses for you, encrypted")
    .description(
      "Keys and passwords of services elsewhere. They are encrypted on disk, and whatever Nika does with them is written down; no command and no " +
        "page shows a value. docs/secrets.md tells how to open them without Nika.",
    );
  secrets
    .command("list")
    .summary("their names")
    .addOption(jsonFlag())
    .action(async (_flags: object, command: Command) => {
      const { runSecretList } = await import("./secrets.ts");
      await runSecretList(context.terminal, await clientOf(command), { json: isJson(command) });
    });
  secrets
    .command("set")
    .summary("keep one, or replace it; its value is asked for, or read from a pipe")
    .argument("<name>", "a letter, then letters, digits, dots, hyphens or underscores")
    .option("--file <path>", "the value is what this file holds")
    .addOption(jsonFlag())
    .action(async (name: string, flags: { file?: string }, command: Command) => {
      const client = await clientOf(command);
      const { runSecretSet } = await import("./secrets.ts");
      await runSecretSet(context.terminal, client, name, { file: flags.file, json: isJson(command), signal: context.signal });
    });
  secrets
    .command("remove")
    .summary("forget one")
    .argument("<name>", "its name")
    .addOption(jsonFlag())
    .action(async (name: string, _flags: object, command: Command) => {
      const { runSecretRemove } = await import("./secrets.ts");
      await runSecretRemove(context.terminal, await clientOf(command), name, { json: isJson(command) });
    });
  secrets
    .command("recovery")
    .summary("the key that opens them when this machine is lost")
    .addOption(new Option("--kept", "you have written it down: erase it from this machine").conflicts("renew"))
    .option("--renew", "make another, and encrypt everything again")
    .addOption(jsonFlag())
    .action(async (flags: { kept?: true; renew?: true }, command: Command) => {
      const action = flags.kept ? "kept" : flags.renew ? "renew" : "show";
      const { runRecovery } = await import("./secrets.ts");
      await runRecovery(context.terminal, await clientOf(command), { action, json: isJson(command) });
    });
  secrets
    .command("recover")
    .summary("take them over on a new machine, with the recovery key")
    .option("--file <path>", "the key is in this file")
    .addOption(jsonFlag())
    .action(async (flags: { file?: string }, command: Command) => {
      const client = await clientOf(command);
      const { runRecover } = await import("./secrets.ts");
      await runRecover(context.terminal, client, { file: flags.file, json: isJson(command), signal: context.signal });
    });
  secrets
    .command("rekey")
    .summary("make a new key and encrypt everything again")
    .addOption(jsonFlag())
    .action(async (_flags: object, command: Command) => {
      const { runRekey } = await import("./secrets.ts");
      await runRekey(context.terminal, await clientOf(command), { json: isJson(command) });
    });
  secrets
    .command("audit")
    .summary("who read or changed what, the latest last")
    .option("--limit <n>", "how many", limitOf, 50)
    .addOption(jsonFlag())
    .action(async (flags: { limit: number }, command: Command) => {
      const { runAudit } = await import("./secrets.ts");
      runAudit(context.terminal, configOf(command).dataDir, { json: isJson(command), limit: flags.limit });
    });
}

const auditMax = 10_000;

function limitOf(text: string): number {
  const limit = Number(text);
  if (!Number.isInteger(limit) || limit < 1 || limit > auditMax)
    throw new InvalidArgumentError(`Give a number from 1 to ${auditMax}.`);
  return limit;
}
