/** The commands about how good models are, and about training by itself. See program.ts. */
import type { Command } from "commander";
import { clientOf, isJson, jsonFlag, type Context } from "./context.ts";
import { moneyFlag, toWish, type TuneFlags } from "./tune.ts";

type PinFlags = { readonly remove?: true };
type CardFlags = { readonly out?: string };
type ScheduleFlags = TuneFlags & { readonly deploy?: boolean; readonly zone?: string };

export function addJudgeCommands(model: Command, context: Context): void {
  const { terminal, signal } = context;
  model
    .command("eval")
    .summary("how good a model is on the questions that are kept for judging")
    .description(
      "The questions are those asked last, about documents that no example is about; where too few were asked, headings as well. Given a model, " +
        "it is put beside the one in force. Nothing changes. Ctrl-C only stops watching.",
    )
    .argument("[model]", "its id or the beginning of it, bge, baseline or live; only what is in force unless given")
    .addOption(jsonFlag())
    .action(async (other: string | undefined, _flags: object, command: Command) => {
      const { runModelCompare } = await import("./modelJudge.ts");
      const options = { one: "live", ...(other !== undefined && { other }), json: isJson(command), signal };
      await runModelCompare(terminal, await clientOf(command), options);
    });
  model
    .command("diff")
    .summary("what differs between two models: measures, kinds of papers, questions that rose or fell")
    .argument("<one>", "the id of a model or its beginning, bge, baseline or live")
    .argument("<other>", "the same")
    .addOption(jsonFlag())
    .action(async (one: string, other: string, _flags: object, command: Command) => {
      const { runModelCompare } = await import("./modelJudge.ts");
      await runModelCompare(terminal, await clientOf(command), { one, other, json: isJson(command), signal });
    });
  model
    .command("pin")
    .summary("questions that have to stay answered by a document: no model that loses one is better")
    .description("Without arguments, shows those that are pinned.")
    .argument("[question]", "the question, word for word")
    .argument("[document]", "the name or the id of the document that answers it")
    .option("--remove", "take the question away again")
    .addOption(jsonFlag())
    .action(async (question: string | undefined, document: string | undefined, flags: PinFlags, command: Command) => {
      const { runModelPin } = await import("./modelJudge.ts");
      const about = { ...(question !== undefined && { question }), ...(document !== undefined && { document }) };
      await runModelPin(terminal, await clientOf(command), { ...about, ...flags, json: isJson(command) });
    });
  model
    .command("card")
    .summary("a model's record as a page of Markdown")
    .argument("[id]", "its id, or the beginning of it; the newest unless given")
    .option("--out <file>", "write it there; nothing is written over")
    .addOption(jsonFlag())
    .action(async (id: string | undefined, { out }: CardFlags, command: Command) => {
      const { runModelCard } = await import("./modelJudge.ts");
      await runModelCard(terminal, await clientOf(command), { id, out, json: isJson(command) });
    });
  model
    .command("schedule")
    .summary("have a model trained by itself: weekly, monthly, off, or when in words")
    .description(
      "Without a time, shows when one is trained. It is a schedule like any other: `nika schedule` shows, pauses and runs it.",
    )
    .argument("[when...]", 'weekly (Sunday at 3 AM), monthly (the 1st at 3 AM), off, or words such as "every Friday at 22:00"')
    .option("--deploy", "put a better one in force; otherwise it waits for `nika model deploy`")
    .option("--with <way>", "lora: beside a model that knows meanings, as with `nika model train`")
    .option("--base <model>", "with lora: its folder below the models folder (default: bge-small-en-v1.5)")
    .option(
      "--spend <amount>",
      "with lora: rent a GPU for at most this each time, as in 5EUR; your questions and passages go there. Without it only machines of yours are used",
      moneyFlag,
    )
    .option("--zone <zone>", "by the clock of, such as Europe/Paris (default: this terminal's)")
    .addOption(jsonFlag())
    .action(async (when: string[], flags: ScheduleFlags, command: Command) => {
      const { deploy = false, zone } = flags;
      const { runModelSchedule } = await import("./modelSchedule.ts");
      const words = when.length === 0 ? undefined : when.join(" ");
      await runModelSchedule(terminal, await clientOf(command), {
        when: words,
        deploy,
        lora: toWish(flags),
        zone,
        json: isJson(command),
      });
    });
}
