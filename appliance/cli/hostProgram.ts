/** The commands about the machine's own cron. See program.ts. */
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { scripts } from "../../convex/model/schedule.ts";
import { findingsExit } from "./exit.ts";
import { clientOf, configOf, jsonFlag, isJson, type Context } from "./context.ts";

const nikaProgram = fileURLToPath(new URL("nika.ts", import.meta.url));

export function addHostCommands(program: Command, context: Context): void {
  const host = program
    .command("host")
    .summary("upkeep that the machine's own cron does, also while Nika is down")
    .description(
      `Lets the machine's cron do upkeep: ${scripts.join(", ")}. Its lines stand in a marked block of the crontab of whoever runs Nika (or ` +
        "of NIKA_CRON_USER); nothing outside of the block is touched. Pause, change and delete them with `nika schedule`.",
    );
  host
    .command("add")
    .summary("have the machine do it: host add backup every night at 2 AM")
    .argument("<script>", `one of ${scripts.join(", ")}`)
    .argument("<words...>", "when")
    .option("--zone <name>", "the clock it is said by, such as Europe/Paris (default: this terminal's)")
    .addOption(jsonFlag())
    .action(async (script: string, words: string[], flags: { zone?: string }, command: Command) => {
      const client = await clientOf(command);
      const { runHostAdd } = await import("./host.ts");
      await runHostAdd(context.terminal, client, script, { text: words.join(" "), zone: flags.zone, json: isJson(command) });
    });
  host
    .command("list")
    .summary("what it does, and whether the crontab is as it should be (ends with 1 when not)")
    .addOption(jsonFlag())
    .action(async (_flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runHostList } = await import("./host.ts");
      if (!(await runHostList(context.terminal, client, { json: isJson(command) }))) context.exit(findingsExit);
    });
  host
    .command("sync")
    .summary("write Nika's block of the crontab anew")
    .addOption(jsonFlag())
    .action(async (_flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runHostSync } = await import("./host.ts");
      await runHostSync(context.terminal, client, { json: isJson(command) });
    });
  host
    .command("run")
    .summary("what cron runs; --now does it although it is not its time")
    .argument("<id>", "as `nika host list` shows it")
    .option("--now", "do it although it is not its time")
    .addOption(jsonFlag())
    .action(async (id: string, flags: { now?: true }, command: Command) => {
      const { runHostRun } = await import("./host.ts");
      const options = { isForced: flags.now === true, json: isJson(command), program: nikaProgram };
      const code = await runHostRun(context.terminal, configOf(command), id, options);
      if (code !== 0) context.exit(code);
    });
  host
    .command("do", { hidden: true })
    .argument("<script>")
    .action(async (script: string, _flags: object, command: Command) => {
      const { runHostDo } = await import("./host.ts");
      await runHostDo(context.terminal, configOf(command), script);
    });
}
