/** One run of the command line: from words to an exit code. Nothing is thrown past this point. */
import { CommanderError, type Command } from "commander";
import { isNikaError } from "../../convex/model/error.ts";
import { loadConfig } from "../config.ts";
import { exitCodes, failureLines, toCliError, usageExit } from "./exit.ts";
import { buildProgram } from "./program.ts";
import { openTerminal, type Streams, type Terminal } from "./terminal.ts";

/** Runs one command; the promise is the exit code. */
export async function runCommand(words: readonly string[], streams: Streams): Promise<number> {
  // Read before parsing, because help and mistakes are printed while parsing.
  const terminal = openTerminal(streams, { color: !words.includes("--no-color") });
  const interrupt = listenForInterrupt();
  endQuietlyOnClosedPipe(streams.stdout);
  let exitCode = 0;
  const program = buildProgram({
    terminal,
    get signal() {
      return interrupt.signal;
    },
    exit: (code) => (exitCode = code),
  });
  quiet(program, terminal);
  try {
    await program.parseAsync(words, { from: "user" });
    return exitCode;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return endOfParsing(thrown, program, terminal);
    const error = toCliError(thrown);
    for (const line of failureLines(error, isDebug())) terminal.note(line);
    return exitCodes[error.code];
  } finally {
    interrupt.stop();
  }
}

/** The parser's own output: help to stdout, mistakes to us. Applies to every command, since settings are copied at creation only. */
function quiet(command: Command, terminal: Terminal): void {
  command.exitOverride().configureOutput({
    writeErr: () => {},
    getOutHelpWidth: () => Math.min(terminal.width, 110),
    getOutHasColors: () => terminal.hasColor,
  });
  for (const child of command.commands) {
    child.copyInheritedSettings(command);
    quiet(child, terminal);
  }
}

/** Help and version end well; anything else is one sentence. */
function endOfParsing(error: CommanderError, program: Command, terminal: Terminal): number {
  if (error.code === "commander.help") program.outputHelp(); // No command was given.
  if (error.exitCode === 0 || error.code === "commander.help") return 0;
  const sentence = error.message
    .replace(/^error: /, "")
    .replace(/\n\((.*)\)$/, " ($1)")
    .replaceAll("\n", " ");
  terminal.note(`nika: ${sentence}${/[.?!)]$/.test(sentence) ? "" : "."} See \`nika --help\`.`);
  return usageExit;
}

function isDebug(): boolean {
  try {
    return loadConfig().isDebug;
  } catch (error) {
    // The environment itself may be what is wrong.
    if (!isNikaError(error)) throw error;
    return false;
  }
}

/**
 * A command that asked for the signal is given the chance to end well at the first Ctrl-C, and ended at the second. All others keep the
 * system's own way: they end at once.
 */
function listenForInterrupt(): { readonly signal: AbortSignal; stop(): void } {
  const controller = new AbortController();
  const onInterrupt = (): void => {
    if (controller.signal.aborted) process.exit(exitCodes.cancelled);
    controller.abort();
  };
  let isListening = false;
  return {
    get signal() {
      if (!isListening) process.on("SIGINT", onInterrupt);
      isListening = true;
      return controller.signal;
    },
    stop: () => void process.off("SIGINT", onInterrupt),
  };
}

/** `nika documents | head` closes the pipe early, which is no mistake. */
function endQuietlyOnClosedPipe(stdout: NodeJS.WriteStream): void {
  stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(0);
  });
}
