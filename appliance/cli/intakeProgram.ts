/** The commands about what comes in: batches, watched folders, and single documents. See program.ts. */
import { Argument, InvalidArgumentError, type Command } from "commander";
import { entityTypes, findLabelProblem, scopes, type DocumentLabels } from "../../convex/model/document.ts";
import { NikaError } from "../../convex/model/error.ts";
import type { BatchVerb } from "./batches.ts";
import { clientOf, jsonFlag, isJson, type Context } from "./context.ts";
import type { WatchVerb } from "./watch.ts";

const batchesMax = 100;

export function addBatchCommands(program: Command, context: Context): void {
  const batches = program
    .command("batches")
    .summary("what was handed in together, and your word on it")
    .description("Each `nika ingest`, each upload on the page and each round of a watched folder is a batch. Newest first.")
    .option("--limit <n>", "how many", limitOf, 20)
    .addOption(jsonFlag())
    .action(async (flags: { limit: number; json?: true }, command: Command) => {
      const client = await clientOf(command);
      const { runBatches } = await import("./batches.ts");
      await runBatches(context.terminal, client, { limit: flags.limit, json: flags.json === true });
    });
  const named = (): Argument => new Argument("[batch]", "its id; without one, the latest");
  batches
    .command("show")
    .summary("what is in it, how far it is, what failed and why")
    .addArgument(named())
    .addOption(jsonFlag())
    .action(async (name: string | undefined, _flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runBatch } = await import("./batches.ts");
      await runBatch(context.terminal, client, name, { json: isJson(command) });
    });
  const summaries: Record<BatchVerb, string> = {
    pause: "begin no further file of it",
    resume: "go on with it",
    cancel: "let go of what was not read yet",
    accept: "let what waits for your word be found",
    reject: "forget what waits for your word",
  };
  for (const [verb, summary] of Object.entries(summaries) as [BatchVerb, string][]) {
    const command = batches.command(verb).summary(summary).addArgument(named()).addOption(jsonFlag());
    if (verb === "accept" || verb === "reject") command.option("--only <group>", onlyHelp);
    command.action(async (name: string | undefined, flags: { only?: string }, own: Command) => {
      const client = await clientOf(own);
      const { runBatchVerb } = await import("./batches.ts");
      await runBatchVerb(context.terminal, client, verb, { name, only: flags.only, json: isJson(own), signal: context.signal });
    });
  }
  labelled(batches.command("edit"))
    .summary("say what its documents are filed under; empty takes it back")
    .addArgument(named())
    .option("--only <group>", onlyHelp)
    .addOption(jsonFlag())
    .action(async (name: string | undefined, flags: LabelFlags & { only?: string }, own: Command) => {
      const labels = toLabels(flags);
      const client = await clientOf(own);
      const { runBatchEdit } = await import("./batches.ts");
      await runBatchEdit(context.terminal, client, { name, only: flags.only, labels, json: isJson(own) });
    });
}

const onlyHelp = "a part of it: type=invoice, language=fr, theme=boats or folder=mail/2026";

/** The flags of what documents are filed under; a title is one document's own. */
const labelled = (command: Command): Command =>
  command
    .option("--type <type>", `what it is: ${entityTypes.join(", ")}`)
    .option("--language <code>", "its language, such as en or fr")
    .option("--theme <name>", "what it is about")
    .option("--scope <scope>", `who may see it: ${scopes.join(", ")}`);

export function addWatchCommands(program: Command, context: Context): void {
  const watch = program
    .command("watch")
    .summary("folders of this machine that are followed")
    .description("What lies in a watched folder is read, and what changes there is read again, for as long as Nika runs.");
  watch
    .command("add")
    .summary("follow a folder from now on")
    .argument("<folder>", "a folder on the machine where Nika runs")
    .option("--mirror", "forget the documents of files that are deleted there")
    .option("--review", "let nothing of it count before you accept it")
    .option("--no-review", "let all of it count at once, whatever your setting says")
    .addOption(jsonFlag())
    .action(async (folder: string, flags: { mirror?: true; review?: boolean; json?: true }, command: Command) => {
      const client = await clientOf(command);
      const { runWatchAdd } = await import("./watch.ts");
      const { mirror = false, review } = flags;
      await runWatchAdd(context.terminal, client, folder, { mirror, review, json: isJson(command) });
    });
  watch
    .command("list")
    .summary("which folders, and how their last look went")
    .addOption(jsonFlag())
    .action(async (_flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runWatchList } = await import("./watch.ts");
      await runWatchList(context.terminal, client, { json: isJson(command) });
    });
  const summaries: Record<WatchVerb, string> = {
    remove: "follow it no longer; its documents stay",
    pause: "do not look at it for a while",
    resume: "look at it again",
  };
  for (const [verb, summary] of Object.entries(summaries) as [WatchVerb, string][])
    watch
      .command(verb)
      .summary(summary)
      .argument("<folder>", "the watched folder")
      .addOption(jsonFlag())
      .action(async (folder: string, _flags: object, command: Command) => {
        const client = await clientOf(command);
        const { runWatchVerb } = await import("./watch.ts");
        await runWatchVerb(context.terminal, client, verb, { folder, json: isJson(command) });
      });
}

type LabelFlags = { title?: string; type?: string; language?: string; theme?: string; scope?: string };

export function addDocumentSubcommands(documents: Command, context: Context): void {
  const named = "its id, its name, or a part of it";
  documents
    .command("show")
    .summary("everything there is to know about one")
    .argument("<document>", named)
    .addOption(jsonFlag())
    .action(async (name: string, _flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runShow } = await import("./document.ts");
      await runShow(context.terminal, client, name, { json: isJson(command) });
    });
  documents
    .command("history")
    .summary("its versions, newest first")
    .argument("<document>", named)
    .addOption(jsonFlag())
    .action(async (name: string, _flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runHistory } = await import("./document.ts");
      await runHistory(context.terminal, client, name, { json: isJson(command) });
    });
  labelled(documents.command("edit"))
    .summary("say what some are called and filed under; empty takes it back")
    .argument("<document...>", named)
    .option("--title <text>", "what it is called")
    .addOption(jsonFlag())
    .action(async (names: string[], flags: LabelFlags, command: Command) => {
      const labels = toLabels(flags);
      const client = await clientOf(command);
      const { runEdit } = await import("./document.ts");
      await runEdit(context.terminal, client, names, { labels, json: isJson(command) });
    });
}

function toLabels({ title, type, language, theme, scope }: LabelFlags): DocumentLabels {
  const labels: DocumentLabels = {
    ...(title !== undefined && { title }),
    ...(type !== undefined && { entityType: type }),
    ...(language !== undefined && { language }),
    ...(theme !== undefined && { domain: theme }),
    ...(scope !== undefined && { scope }),
  };
  const problem = findLabelProblem(labels);
  if (problem !== undefined) throw new NikaError("invalid", problem);
  if (Object.keys(labels).length === 0)
    throw new NikaError("invalid", "Say what to change: --title, --type, --language, --theme or --scope.");
  return labels;
}

function limitOf(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || count > batchesMax)
    throw new InvalidArgumentError(`It must be a number from 1 to ${batchesMax}.`);
  return count;
}
