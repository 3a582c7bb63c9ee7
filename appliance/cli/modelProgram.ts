/** The commands about what Nika learns from how it is used. See program.ts. */
import type { Command } from "commander";
import { clientOf, countFlag, isJson, jsonFlag, type Context } from "./context.ts";
import { addJudgeCommands } from "./modelJudgeProgram.ts";
import { writingPassagesMax } from "../../convex/model/written.ts";
import { moneyFlag, toWish, toWriting, type TuneFlags, type WriteFlags } from "./tune.ts";

type UseFlags = {
  readonly allow?: readonly string[];
  readonly nothing?: true;
  readonly erase?: true;
  readonly import?: string;
  readonly export?: true;
};

type DeployFlags = { readonly anyway?: string; readonly wait: boolean };

type TrainFlags = TuneFlags &
  WriteFlags & {
    readonly seed?: number;
    readonly keepNumbers?: true;
    readonly again?: string;
    readonly deploy?: true;
    readonly wait?: true;
  };

export function addModelCommands(program: Command, context: Context): void {
  const model = program.command("model").summary("what Nika learns from how you use it");
  model
    .command("use")
    .summary("what is remembered of your questions, and whether it may be")
    .description(
      "Without flags, says what is remembered. Nothing is, until you allow it: your questions, what was shown, and what of it you opened, copied " +
        "or praised. It stays on this machine, and is what an embedding of your own can be trained on.",
    )
    .option("--allow <scope...>", "remember the use of documents of these scopes: private, team, tenant, public")
    .option("--nothing", "remember nothing from now on")
    .option("--erase", "forget all that was remembered")
    .option("--import <file>", "remember what the log of another program says of use: a line of JSON for each question")
    .option("--export", "write all that is remembered, a line of JSON for each question")
    .addOption(jsonFlag())
    .action(async (flags: UseFlags, command: Command) => {
      const { runUseExport, runUseImport } = await import("./modelAudit.ts");
      if (flags.export) return runUseExport(context.terminal, await clientOf(command));
      if (flags.import !== undefined)
        return runUseImport(context.terminal, await clientOf(command), { path: flags.import, json: isJson(command) });
      const { runModelUse } = await import("./model.ts");
      await runModelUse(context.terminal, await clientOf(command), { ...flags, json: isJson(command) });
    });
  model
    .command("train")
    .summary("train an embedding of your own on what was remembered, and judge it")
    .description(
      "Trains on your questions and what you used of the answers, with headings and passages of your documents beside them, and compares the " +
        "result with the embedder in force on documents that no question of the training is about. Nothing is put in force unless you say so: " +
        "`nika model list` says what it came to.",
    )
    .option("--seed <n>", "the same seed and data give the same model (default: 1)", countFlag(2 ** 31 - 1))
    .option("--keep-numbers", "leave addresses, accounts and phone numbers in questions")
    .option("--with <way>", "lora: beside a model that knows meanings, as a job of a machine that has what it takes (`nika gpu`)")
    .option(
      "--base <model>",
      "with lora: its folder below the models folder (default: bge-small-en-v1.5), or random for a tiny one to try the way",
    )
    .option(
      "--spend <amount>",
      "with lora: rent a GPU for at most this, as in 5EUR; your questions and passages go there. Without it only machines of yours are used",
      moneyFlag,
    )
    .option(
      "--write <n>",
      "have the language model of NIKA_LLM_URL write questions, and passages that only look like answers, about so many passages; what it wrote is kept",
      countFlag(writingPassagesMax),
    )
    .option("--send", "with write: these passages may leave this machine, where the language model is another one")
    .option(
      "--again <id>",
      "make this model once more from its record, of what was remembered then: it should be the same byte for byte",
    )
    .option("--deploy", "put it in force if it is better by every condition")
    .option("--wait", "wait until it is trained, and show what it came to")
    .addOption(jsonFlag())
    .action(async (flags: TrainFlags, command: Command) => {
      const { runModelTrain } = await import("./model.ts");
      const { seed, keepNumbers = false, again, deploy = false, wait = false } = flags;
      const options = {
        seed,
        keepNumbers,
        again,
        deploy,
        wait,
        lora: toWish(flags),
        writing: toWriting(flags),
        json: isJson(command),
        signal: context.signal,
      };
      await runModelTrain(context.terminal, await clientOf(command), options);
    });
  model
    .command("list")
    .summary("the models trained here, newest first")
    .addOption(jsonFlag())
    .action(async (_flags: object, command: Command) => {
      const { runModelList } = await import("./model.ts");
      await runModelList(context.terminal, await clientOf(command), { json: isJson(command) });
    });
  model
    .command("deploy")
    .summary("have searches go by a model: one that was trained here, bge, or the baseline")
    .description(
      "Embeds all passages anew beside what searches go by, which go on all the while; what is written meanwhile goes to both. When the two were " +
        "compared, the new one takes over at once and the old one is kept for a week. A model that was not judged better is refused. Cut off " +
        "anywhere it goes on by itself; Ctrl-C only stops watching.",
    )
    .argument("<model>", "the id of a model or its beginning, bge, or baseline")
    .option("--anyway <reason>", "although what it was compared with is not in force any more; the reason is kept")
    .option("--no-wait", "do not wait until it is in force")
    .addOption(jsonFlag())
    .action(async (name: string, flags: DeployFlags, command: Command) => {
      const { runModelDeploy } = await import("./modelDeploy.ts");
      const options = { model: name, anyway: flags.anyway, wait: flags.wait, json: isJson(command), signal: context.signal };
      await runModelDeploy(context.terminal, await clientOf(command), options);
    });
  model
    .command("rollback")
    .summary("have searches go by the model before, at once; or give up a move that is under way")
    .description("Nothing that was written since is lost: as long as the model before is kept, it is written along.")
    .addOption(jsonFlag())
    .action(async (_flags: object, command: Command) => {
      const { runModelRollback } = await import("./modelDeploy.ts");
      await runModelRollback(context.terminal, await clientOf(command), { json: isJson(command) });
    });
  model
    .command("show")
    .summary("what a model was made of, and every condition it was judged by")
    .argument("[id]", "its id, or the beginning of it; the newest unless given")
    .addOption(jsonFlag())
    .action(async (id: string | undefined, _flags: object, command: Command) => {
      const { runModelShow } = await import("./model.ts");
      await runModelShow(context.terminal, await clientOf(command), { id, json: isJson(command) });
    });
  addJudgeCommands(model, context);
}
