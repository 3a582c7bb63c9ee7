/** The command line as data for its parser: every command, its flags, its one line of help. What they do is loaded when they run. */
import { Argument, Command, InvalidArgumentError, Option } from "commander";
import { passagesPerAnswerMax } from "../../convex/model/answer.ts";
import { documentStates, type DocumentState } from "../../convex/model/document.ts";
import { NikaError } from "../../convex/model/error.ts";
import { loadConfig, toPort } from "../config.ts";
import { clientOf, configOf, countFlag, jsonFlag, type Context, type JsonFlag } from "./context.ts";
import { findingsExit } from "./exit.ts";
import { addBridgeCommands } from "./bridgeProgram.ts";
import { addFunctionsCommands } from "./functionsProgram.ts";
import { addHostCommands } from "./hostProgram.ts";
import { addPictureCommands } from "./pictureProgram.ts";
import { addBatchCommands, addDocumentSubcommands, addWatchCommands } from "./intakeProgram.ts";
import { addJobCommands } from "./jobsProgram.ts";
import { addMcpCommands } from "./mcpProgram.ts";
import { addGpuCommands } from "./gpuProgram.ts";
import { addModelCommands } from "./modelProgram.ts";
import { addRunCommands } from "./runsProgram.ts";
import { addScheduleCommands } from "./scheduleProgram.ts";
import { addSandboxCommand } from "./sandboxProgram.ts";
import { addSecretCommands } from "./secretsProgram.ts";
import { addSearchFlags, toAskOptions, type SearchFlags } from "./searchFlags.ts";
import { addScaleCommands } from "./scaleProgram.ts";
import { addWorkerCommands } from "./workerProgram.ts";

type IngestFlags = JsonFlag & { readonly wait?: true; readonly watch?: true; readonly strict?: true; readonly review?: boolean };

/** What the control plane gives in one query. */
const jobsMax = 200;
/** What a log's first page and a table's page hold. */
const logEntriesMax = 1000;
const dataRowsMax = 1000;

export function buildProgram(context: Context): Command {
  const program = new Command("nika");
  program
    .description("Nika keeps documents, agents' tools, functions and schedules on your machine.")
    .usage("<command> [flags]")
    .option("--data <dir>", "the data directory (default: NIKA_DATA, or ~/.nika/data)")
    .option("--no-color", "no colours; NO_COLOR does the same")
    .helpOption("-h, --help", "show help")
    .helpCommand(false)
    .version(version(), "-V, --version", "show the version")
    .configureHelp({
      showGlobalOptions: true,
      subcommandTerm: termOf,
      styleTitle: (text) => context.terminal.style("bold", text),
    })
    .addHelpText("after", examples);
  addApplianceCommands(program, context);
  addDocumentCommands(program, context);
  addScheduleCommands(program, context);
  addFunctionsCommands(program, context);
  addBridgeCommands(program, context);
  addSecretCommands(program, context);
  addWorkerCommands(program, context);
  addMcpCommands(program, context);
  addModelCommands(program, context);
  addGpuCommands(program, context);
  addScaleCommands(program, context);
  addSandboxCommand(program, context);
  addLookCommands(program, context);
  return program;
}

const examples = `
Examples:
  nika up                                      start, and print a link to sign in with
  nika ingest ~/Documents --wait               read a folder, and wait until it is read
  nika ask "when does the lease end?"          the passages that answer, with their source
  nika search invoices of March --author Voss  what was written about it, by whom
  nika ask "open invoices" --json | jq .passages[0].text

Exit codes: 0 fine · 1 findings · 64 wrong usage · 65 bad input · 66 not there · 69 not running
  70 a fault of ours · 73 no room · 75 conflict · 77 not allowed · 130 cancelled. NIKA_DEBUG=1 shows causes.`;

function addApplianceCommands(program: Command, context: Context): void {
  program.commandsGroup("Run:");
  program
    .command("up")
    .summary("start Nika in the background")
    .description(
      "Starts Nika in the background and prints a one-time link to sign in with. Already running: prints a fresh link.",
    )
    .option("--port <number>", "the port to listen on (default: NIKA_PORT, or 6452; 0 picks a free one)", portOf)
    .option("--foreground", "run in this terminal until Ctrl-C; the log goes to stderr")
    .option("--no-link", "print no link")
    .action(async (flags: { port?: number; foreground?: true; link: boolean }, command: Command) => {
      const config = configOf(command, flags.port);
      const { runForeground, runUp } = await import("./up.ts");
      await (flags.foreground ? runForeground : runUp)(context.terminal, config, { link: flags.link, signal: context.signal });
    });
  program
    .command("stop")
    .summary("stop Nika; work in progress is taken up at the next start")
    .addOption(jsonFlag())
    .action(async (flags: JsonFlag, command: Command) => {
      const { runStop } = await import("./stop.ts");
      await runStop(context.terminal, configOf(command), { json: flags.json === true });
    });
  program
    .command("link")
    .summary("a fresh one-time link to sign in with")
    .addOption(jsonFlag())
    .action(async (flags: JsonFlag, command: Command) => {
      const { runLink } = await import("./link.ts");
      await runLink(context.terminal, await clientOf(command), { json: flags.json === true });
    });
}

function addDocumentCommands(program: Command, context: Context): void {
  program.commandsGroup("Documents:");
  program
    .command("ingest")
    .summary("hand over files and folders")
    .description(
      "Hands over files and folders; what Nika holds already is skipped. Folders are walked in a fixed order, without hidden files and " +
        "tools' folders such as node_modules. Ends with 0 although some could not be read, since each says why; --strict makes that 1.",
    )
    .argument("<path...>", "files and folders")
    .option("--wait", "wait until all of them have been read")
    .option("--review", "let nothing of it be found before you accept it; see `nika batches`")
    .option("--no-review", "let all of it be found at once, whatever your setting says")
    .option("--watch", "follow the folders from now on; see `nika watch`")
    .option("--strict", "end with 1 when any of them could not be read")
    .addOption(jsonFlag())
    .action(async (paths: string[], flags: IngestFlags, command: Command) => {
      const [{ runIngest }, { mustExist }] = await Promise.all([import("./ingest.ts"), import("../folder/walk.ts")]);
      const { wait = false, watch = false, review } = flags;
      const options = { wait, watch, review, json: flags.json === true, signal: context.signal };
      // A mistyped path is worth more to hear about than that nothing runs.
      await mustExist(paths);
      const client = await clientOf(command);
      const { unreadable } = await runIngest(context.terminal, client, paths, options);
      if (flags.strict && unreadable.length > 0) context.exit(findingsExit);
    });
  program
    .command("ask")
    .summary("the passages that answer a question, cited")
    .argument("<question...>", "the question; quotes may be left away")
    .option("--limit <n>", "how many passages", countFlag(passagesPerAnswerMax), 5)
    .action(async (words: string[], flags: SearchFlags, command: Command) => {
      const client = await clientOf(command);
      const { runAsk } = await import("./ask.ts");
      await runAsk(context.terminal, client, words.join(" "), toAskOptions(flags));
    });
  program
    .command("search")
    .summary("what the documents say about some words, cited")
    .description(
      "Looks for words in all documents. What stands in quotation marks is found as it stands, codes are found as they are, and types " +
        "and periods in the words (“invoices of March”) move passages up. The flags limit what is found.",
    )
    .argument("<words...>", "what to look for; quotes may be left away")
    .option("--limit <n>", "how many passages", countFlag(passagesPerAnswerMax), 10)
    .option("--pictures", "look for pictures instead; see `nika pictures search`")
    .action(async (words: string[], flags: SearchFlags & { readonly pictures?: true }, command: Command) => {
      const client = await clientOf(command);
      if (flags.pictures) {
        const { runPictures } = await import("./pictures.ts");
        return runPictures(context.terminal, client, words.join(" "), toAskOptions(flags));
      }
      const { runSearch } = await import("./ask.ts");
      await runSearch(context.terminal, client, words.join(" "), toAskOptions(flags));
    });
  for (const command of program.commands) if (["ask", "search"].includes(command.name())) addSearchFlags(command);
  addPictureCommands(program, context);
  program
    .command("open")
    .summary("a passage, with what stands around it in its document")
    .argument("<document>", "its id, its name, or the end of its name")
    .option("--passage <n>", "its number, as `nika search --explain` shows it", positionOf, 0)
    .addOption(jsonFlag())
    .action(async (name: string, flags: JsonFlag & { passage: number }, command: Command) => {
      const client = await clientOf(command);
      const { runOpen } = await import("./open.ts");
      await runOpen(context.terminal, client, name, { ordinal: flags.passage, json: flags.json === true });
    });
  const documents = program
    .command("documents")
    .summary("what Nika holds, newest first")
    .addOption(new Option("--state <state>", "only these").choices(documentStates))
    .option("--limit <n>", "how many (default: 50, and with --json all of them)", countFlag(Number.MAX_SAFE_INTEGER))
    .addOption(jsonFlag())
    .action(async (flags: JsonFlag & { limit?: number; state?: DocumentState }, command: Command) => {
      const client = await clientOf(command);
      const { runDocuments } = await import("./documents.ts");
      const limit = flags.limit ?? (flags.json ? Number.MAX_SAFE_INTEGER : 50);
      await runDocuments(context.terminal, client, { limit, state: flags.state, json: flags.json === true });
    });
  addDocumentSubcommands(documents, context);
  addBatchCommands(program, context);
  addWatchCommands(program, context);
  program
    .command("forget")
    .summary("let go of a document and everything read from it")
    .addArgument(new Argument("<document>", "its id, its name, or the end of its name"))
    .option("--yes", "do not ask")
    .addOption(jsonFlag())
    .action(async (name: string, flags: JsonFlag & { yes?: true }, command: Command) => {
      const client = await clientOf(command);
      const { runForget } = await import("./documents.ts");
      await runForget(context.terminal, client, name, {
        yes: flags.yes === true,
        json: flags.json === true,
        signal: context.signal,
      });
    });
}

function addLookCommands(program: Command, context: Context): void {
  program.commandsGroup("Look after it:");
  program
    .command("status")
    .summary("what runs, where, and how much it holds")
    .addOption(jsonFlag())
    .action(async (flags: JsonFlag, command: Command) => {
      const config = configOf(command);
      const { runStatus } = await import("./status.ts");
      const { openClient } = await import("./client.ts");
      await runStatus(context.terminal, config.dataDir, { json: flags.json === true, open: () => openClient(config) });
    });
  const jobs = program.command("jobs").summary("what Nika is doing and has done");
  jobs
    .option("--limit <n>", "how many", countFlag(jobsMax), 20)
    .addOption(new Option("--watch", "follow live until Ctrl-C").conflicts("json"))
    .addOption(jsonFlag())
    .action(async (flags: JsonFlag & { limit: number; watch?: true }, command: Command) => {
      const client = await clientOf(command);
      const { runJobs } = await import("./jobs.ts");
      const options = { limit: flags.limit, json: flags.json === true, watch: flags.watch === true, signal: context.signal };
      await runJobs(context.terminal, client, options);
    });
  addJobCommands(jobs, context);
  addRunCommands(program, context);
  addFunctionCommands(program, context);
  addHostCommands(program, context);
  program
    .command("doctor")
    .summary("look for what is wrong, and what to do about it")
    .option("--port <number>", "the port Nika is to use", portOf)
    .addOption(jsonFlag())
    .action(async (flags: JsonFlag & { port?: number }, command: Command) => {
      const { runDoctor } = await import("./doctor.ts");
      const hasFailed = await runDoctor(context.terminal, configOf(command, flags.port), { json: flags.json === true });
      if (hasFailed) context.exit(findingsExit);
    });
  program
    .command("backup")
    .summary("save the control plane's state to a file, while Nika runs or not")
    .description(
      "Saves the control plane's state (tables, scheduled work and stored files; not keys, passages or models) to one tar, as it is at " +
        "one moment. Whoever has the file can read all of it. Restore it with `nika restore`.",
    )
    .requiredOption("--state-only <file>", "the file to write; it must not exist yet")
    .addOption(jsonFlag())
    .action(async (flags: JsonFlag & { stateOnly: string }, command: Command) => {
      const { runBackup } = await import("./backup.ts");
      await runBackup(context.terminal, configOf(command), { file: flags.stateOnly, json: flags.json === true });
    });
  program
    .command("restore")
    .summary("put a saved state in the place of the present one; Nika must be stopped")
    .description(
      "Puts a state that `nika backup` saved in the place of the present one, once all of it was checked. The present one is kept in a " +
        "folder beside it. Nika must be stopped.",
    )
    .requiredOption("--state-only <file>", "the file to read")
    .addOption(jsonFlag())
    .action(async (flags: JsonFlag & { stateOnly: string }, command: Command) => {
      const { runRestore } = await import("./backup.ts");
      await runRestore(context.terminal, configOf(command), { file: flags.stateOnly, json: flags.json === true });
    });
  program
    .command("version")
    .summary("the version of Nika and of what runs it")
    .action(() => context.terminal.line(`nika ${version()} (node ${process.version}, ${process.platform} ${process.arch})`));
}

function addFunctionCommands(program: Command, context: Context): void {
  program
    .command("logs")
    .summary("what the functions did: how long each ran, what it said, why it failed")
    .option("--follow", "go on with what comes, until Ctrl-C")
    .option("--limit <n>", "how many runs to begin with", countFlag(logEntriesMax), 50)
    .addOption(new Option("--json", "one JSON list; with --follow, a JSON document on each line"))
    .action(async (flags: JsonFlag & { limit: number; follow?: true }, command: Command) => {
      const client = await clientOf(command);
      const { runLogs } = await import("./logs.ts");
      await runLogs(context.terminal, client, followOptions(flags, context));
    });
  program
    .command("run")
    .summary("call a function as the owner; internal ones too")
    .argument("<function>", "its name, such as documents:counts")
    .argument("[arguments]", "one JSON object")
    .addOption(jsonFlag())
    .action(async (path: string, args: string | undefined, flags: JsonFlag, command: Command) => {
      const client = await clientOf(command);
      const { runFunction } = await import("./runFunction.ts");
      await runFunction(context.terminal, client, { path, args, json: flags.json === true });
    });
  program
    .command("data")
    .summary("the tables and how many rows each has, or the rows of one, newest first")
    .argument("[table]", "the table to look into")
    .option("--follow", "go on with what changes, until Ctrl-C; needs a table")
    .option("--limit <n>", "how many rows", countFlag(dataRowsMax), 20)
    .addOption(new Option("--json", "one JSON list; with --follow, a JSON document on each line"))
    .action(async (name: string | undefined, flags: JsonFlag & { limit: number; follow?: true }, command: Command) => {
      if (flags.follow && name === undefined) throw new NikaError("invalid", "Say which table to follow.");
      const client = await clientOf(command);
      const { runData } = await import("./data.ts");
      await runData(context.terminal, client, name, followOptions(flags, context));
    });
}

/** Only a command that follows promises to heed the signal. */
function followOptions(flags: JsonFlag & { readonly limit: number; readonly follow?: true }, context: Context) {
  const follow = flags.follow === true;
  return { limit: flags.limit, json: flags.json === true, follow, signal: follow ? context.signal : undefined };
}

/** `ask <question...>`: that every command has flags need not be said on every line. */
function termOf(command: Command): string {
  const operands = command.registeredArguments.map((operand) => {
    const name = `${operand.name()}${operand.variadic ? "..." : ""}`;
    return operand.required ? `<${name}>` : `[${name}]`;
  });
  return [command.name(), ...operands].join(" ");
}

function version(): string {
  return loadConfig({}, {}).version;
}

function portOf(text: string): number {
  try {
    const port = toPort(text, "The port");
    if (port !== undefined) return port;
  } catch {
    // Said below, as a mistake on the command line.
  }
  throw new InvalidArgumentError("It must be a number from 0 to 65535.");
}

function positionOf(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("It must be a number from 0.");
  return Number(text);
}
