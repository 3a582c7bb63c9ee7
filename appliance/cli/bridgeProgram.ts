/** The commands about the bridge to remote agents, and the chat that mirrors it. See program.ts. */
import { InvalidArgumentError, type Command } from "commander";
import type { Verb } from "../../convex/model/bridge.ts";
import { clientOf, jsonFlag, isJson, type Context } from "./context.ts";

export function addBridgeCommands(program: Command, context: Context): void {
  program.commandsGroup("Remote agents:");
  const bridge = program
    .command("bridge")
    .summary("send messages to remote agents, and read what they report")
    .description(
      "Messages to remote agents and what they report. Each agent is a target with a queue of its own; docs/bridge.md tells how to connect one.",
    );
  bridge
    .command("send")
    .summary("queue a message, unless the same one waits already")
    .argument("<target>", "which agent")
    .argument("<text...>", "the message; quotes may be left away")
    .option("--urgent", "before all others; messages that begin with STOP or URGENT are anyway")
    .addOption(jsonFlag())
    .action(async (target: string, words: string[], flags: { urgent?: true }, command: Command) => {
      const client = await clientOf(command);
      const { runSend } = await import("./bridge.ts");
      await runSend(context.terminal, client, { target, text: words.join(" "), isUrgent: flags.urgent, json: isJson(command) });
    });
  bridge
    .command("pull")
    .summary("what the agents said since your last pull")
    .argument("[target]", "only this agent")
    .option("--since <time>", "since this time instead, as in 2026-03-30T01:00:00Z")
    .option("--as <name>", "keep a place of its own under this name", "cli")
    .option("--wait <seconds>", "stay up to so long for something new (at most 25)", secondsOf)
    .option("--follow", "go on with what comes, until Ctrl-C")
    .addOption(jsonFlag())
    .action(
      async (
        target: string | undefined,
        flags: { since?: string; as: string; wait?: number; follow?: true },
        command: Command,
      ) => {
        const client = await clientOf(command);
        const { runPull } = await import("./bridge.ts");
        const { since, as, wait, follow } = flags;
        const options = { target, since, as, wait, isFollowing: follow === true, json: isJson(command), signal: context.signal };
        await runPull(context.terminal, client, options);
      },
    );
  bridge
    .command("status")
    .summary("how the queues stand")
    .argument("[target]", "only this agent")
    .addOption(jsonFlag())
    .action(async (target: string | undefined, _flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runBridgeStatus } = await import("./bridge.ts");
      await runBridgeStatus(context.terminal, client, { target, json: isJson(command) });
    });
  addTargetCommands(bridge, context);
  addTokenCommands(bridge, context);
  addAgentCommands(bridge, context);
  bridge
    .command("serve")
    .summary("speak MCP over this pipe, for programs that start their servers")
    .description("An MCP server over standard input and output. Nika must be running; this is only the pipe to it.")
    .option("--agent <target>", "offer the tools of the agent that works for this target")
    .option("--as <name>", "whose pulls these are", "stdio")
    .action(async (flags: { agent?: string; as: string }, command: Command) => {
      const client = await clientOf(command);
      const { runServe } = await import("./bridge.ts");
      await runServe(client, { agent: flags.agent, as: flags.as, signal: context.signal });
    });
  addTelegramCommands(program, context);
}

function addTargetCommands(bridge: Command, context: Context): void {
  const targets = bridge
    .command("targets")
    .summary("the agents, and how much waits for each")
    .addOption(jsonFlag())
    .action(async (_flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runTargets } = await import("./bridge.ts");
      await runTargets(context.terminal, client, { json: isJson(command) });
    });
  for (const verb of ["add", "remove"] as const)
    targets
      .command(verb)
      .summary(verb === "add" ? "a queue for one more agent" : "with all its messages, reports and tokens")
      .argument("<name>", "as in homelab, or nexus:felt")
      .addOption(jsonFlag())
      .action(async (name: string, _flags: object, command: Command) => {
        const client = await clientOf(command);
        const { runTarget } = await import("./bridge.ts");
        await runTarget(context.terminal, client, { verb, name, json: isJson(command) });
      });
}

function addTokenCommands(bridge: Command, context: Context): void {
  const token = bridge
    .command("token")
    .summary("make a token for somebody else; it is shown once")
    .description(
      "Makes a token and shows it once. It sends and pulls; with --agent it works for its target instead. `nika bridge token list` shows " +
        "which there are, `nika bridge token revoke NAME` ends one.",
    )
    .argument("<name>", "who will hold it, such as claude.ai")
    .option("--target <name>", "good for this target only")
    .option("--agent", "for the agent itself, which takes messages and reports; needs --target")
    .addOption(jsonFlag())
    .action(async (name: string, flags: { target?: string; agent?: true }, command: Command) => {
      const client = await clientOf(command);
      const { runToken } = await import("./bridge.ts");
      await runToken(context.terminal, client, {
        name,
        target: flags.target,
        isAgent: flags.agent === true,
        json: isJson(command),
      });
    });
  token
    .command("list")
    .summary("which there are, without their secrets")
    .addOption(jsonFlag())
    .action(async (_flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runTokens } = await import("./bridge.ts");
      await runTokens(context.terminal, client, { json: isJson(command) });
    });
  token
    .command("revoke")
    .summary("from now on it opens nothing")
    .argument("<name>", "its name")
    .addOption(jsonFlag())
    .action(async (name: string, _flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runRevoke } = await import("./bridge.ts");
      await runRevoke(context.terminal, client, { name, json: isJson(command) });
    });
}

function addAgentCommands(bridge: Command, context: Context): void {
  const agent = bridge.command("agent").summary("an agent's side: take messages, report, end them");
  agent
    .command("next")
    .summary("the message to look at next, urgent ones first")
    .argument("<target>", "whose queue")
    .option("--wait <seconds>", "stay up to so long for one (at most 25)", secondsOf)
    .option("--urgent", "only an urgent one")
    .addOption(jsonFlag())
    .action(async (target: string, flags: { wait?: number; urgent?: true }, command: Command) => {
      const client = await clientOf(command);
      const { runNext } = await import("./bridge.ts");
      const options = {
        target,
        wait: flags.wait,
        isUrgentOnly: flags.urgent === true,
        json: isJson(command),
        signal: context.signal,
      };
      await runNext(context.terminal, client, options);
    });
  const summaries: Record<Verb, string> = {
    ack: "it was seen",
    start: "work on it has begun",
    update: "a step of it",
    complete: "it is done",
    error: "it could not be done",
  };
  for (const [verb, summary] of Object.entries(summaries) as [Verb, string][])
    agent
      .command(verb)
      .summary(summary)
      .argument("<id>", "the message's id")
      .argument(verb === "update" || verb === "error" ? "<text...>" : "[text...]", "what to report")
      .addOption(jsonFlag())
      .action(async (id: string, words: string[], _flags: object, command: Command) => {
        const client = await clientOf(command);
        const { runSay } = await import("./bridge.ts");
        await runSay(context.terminal, client, { verb, id, text: words.join(" "), json: isJson(command) });
      });
}

function addTelegramCommands(program: Command, context: Context): void {
  const telegram = program
    .command("telegram")
    .summary("a Telegram chat that mirrors the bridge: what it shows and how it is")
    .addOption(jsonFlag())
    .action(async (_flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runTelegramStatus } = await import("./telegram.ts");
      await runTelegramStatus(context.terminal, client, { json: isJson(command) });
    });
  telegram
    .command("connect")
    .summary("connect a bot of yours; its token is asked for, or read from standard input")
    .option("--token-file <file>", "read the token from this file")
    .addOption(jsonFlag())
    .action(async (flags: { tokenFile?: string }, command: Command) => {
      const client = await clientOf(command);
      const { runTelegramConnect } = await import("./telegram.ts");
      await runTelegramConnect(context.terminal, client, {
        file: flags.tokenFile,
        json: isJson(command),
        signal: context.signal,
      });
    });
  telegram
    .command("disconnect")
    .summary("end it, and forget the token and the chat")
    .addOption(jsonFlag())
    .action(async (_flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runTelegramDisconnect } = await import("./telegram.ts");
      await runTelegramDisconnect(context.terminal, client, { json: isJson(command) });
    });
  telegram
    .command("resend")
    .summary("send once more what failed, or of which nobody knows whether it arrived")
    .addOption(jsonFlag())
    .action(async (_flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runTelegramResend } = await import("./telegram.ts");
      await runTelegramResend(context.terminal, client, { json: isJson(command) });
    });
}

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (!(seconds >= 0 && seconds <= 25)) throw new InvalidArgumentError("It must be a number of seconds from 0 to 25.");
  return seconds;
}
