/** The commands about schedules. See program.ts. */
import type { Command } from "commander";
import { clientOf, jsonFlag, isJson, type Context } from "./context.ts";
import type { ScheduleVerb } from "./schedule.ts";

type SayFlags = { readonly dryRun?: true; readonly zone?: string };

export function addScheduleCommands(program: Command, context: Context): void {
  program.commandsGroup("Schedules:");
  const schedule = program
    .command("schedule")
    .summary("what is to happen when, in plain French or English")
    .description(
      "Says a sentence about schedules, as in `nika schedule tous les lundis à 8h cherche des offres` or `nika schedule pause the report " +
        "until Monday`. It tells the next times and what it assumed, and asks when it cannot tell.",
    )
    .argument("[words...]", "the sentence; quotes may be left away")
    .option("--dry-run", "only show what it would do")
    .option("--zone <name>", "the clock it is said by, such as Europe/Paris (default: this terminal's)")
    .addOption(jsonFlag())
    .action((words: string[], flags: SayFlags, command: Command) => say(words, flags, command));
  const say = async (words: string[], flags: SayFlags, command: Command): Promise<void> => {
    const client = await clientOf(command);
    const { runSay, runScheduleList } = await import("./schedule.ts");
    if (words.length === 0) return runScheduleList(context.terminal, client, { json: isJson(command) });
    await runSay(context.terminal, client, words.join(" "), {
      zone: flags.zone,
      isDryRun: flags.dryRun === true,
      json: isJson(command),
    });
  };
  schedule
    .command("add")
    .summary("make one: what to do and when")
    .argument("<words...>", "as in: every Monday at 8 AM read the news")
    .option("--dry-run", "only show what it would do")
    .option("--zone <name>", "the clock it is said by, such as Europe/Paris (default: this terminal's)")
    .option("--session", "keep it only as long as this command runs (a day at most), and show each time here; ends with Ctrl-C")
    .addOption(jsonFlag())
    .action(async (words: string[], flags: SayFlags & { session?: true }, command: Command) => {
      if (!flags.session || flags.dryRun) return say(words, flags, command);
      const client = await clientOf(command);
      const { runSession } = await import("./scheduleSession.ts");
      const options = { zone: flags.zone, json: isJson(command), signal: context.signal };
      await runSession(context.terminal, client, words.join(" "), options);
    });
  schedule
    .command("list")
    .summary("all of them, by when they happen next")
    .addOption(jsonFlag())
    .action((_flags: object, command: Command) => say([], {}, command));
  schedule
    .command("show")
    .summary("one of them, and what became of its last times")
    .argument("<name>", "its name, some words of it, or its id")
    .addOption(jsonFlag())
    .action(async (name: string, _flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runScheduleShow } = await import("./schedule.ts");
      await runScheduleShow(context.terminal, client, name, { json: isJson(command) });
    });
  schedule
    .command("change")
    .summary("another time, another task; what you leave open stays")
    .argument("<name>", "its name, some words of it, or its id")
    .argument("[words...]", "when, as in: at 9 AM")
    .option("--prompt <text>", "what to do")
    .addOption(jsonFlag())
    .action(async (name: string, words: string[], flags: { prompt?: string }, command: Command) => {
      const client = await clientOf(command);
      const { runScheduleChange } = await import("./schedule.ts");
      const options = { text: words.join(" "), prompt: flags.prompt, json: isJson(command) };
      await runScheduleChange(context.terminal, client, name, options);
    });
  const summaries: Record<ScheduleVerb, string> = {
    pause: "turn it off",
    resume: "turn it on again",
    remove: "delete it, with what is known of its past",
    run: "have it done right now",
  };
  for (const [verb, summary] of Object.entries(summaries) as [ScheduleVerb, string][])
    schedule
      .command(verb)
      .summary(summary)
      .argument(
        "<name...>",
        verb === "pause"
          ? "its name or its id, and until when: the report until Monday"
          : "its name, some words of it, or its id",
      )
      .addOption(jsonFlag())
      .action(async (words: string[], _flags: object, command: Command) => {
        if (verb === "pause" && words.some((word) => /^(?:until|till|for|jusqu|pendant)/iu.test(word)))
          return say([verb, ...words], {}, command);
        const client = await clientOf(command);
        const { runScheduleVerb } = await import("./schedule.ts");
        await runScheduleVerb(context.terminal, client, verb, { name: words.join(" "), json: isJson(command) });
      });
}
