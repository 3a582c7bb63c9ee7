/** The commands about MCP servers and the log of what was called. See program.ts. */
import { InvalidArgumentError, Option, type Command } from "commander";
import { addEventCommands } from "./eventsProgram.ts";
import { addDiscoverCommands } from "./discoverProgram.ts";
import { findingsExit } from "./exit.ts";
import { addGuardCommands } from "./guardProgram.ts";
import { addMcpBuildCommands } from "./mcpBuildProgram.ts";
import { clientOf, jsonFlag, isJson, type Context } from "./context.ts";
import { addSignInCommands } from "./mcpSignInProgram.ts";

/** What the control plane gives in one query. */
const callsMax = 200;

export function addMcpCommands(program: Command, context: Context): void {
  program.commandsGroup("Tools of others:");
  const { terminal, signal } = context;
  const mcp = program
    .command("mcp")
    .summary("MCP servers: their tools, what of them you approved, what was called")
    .description(
      "MCP servers are declared in mcp-servers.json in the data directory, in ~/.mcp.json and in mcp.d/*.json; docs/mcp.md tells how. Their tools may " +
        "be used once you approved them, through Nika's own MCP server: `nika mcp serve`, or /mcp with a token.",
    );
  mcp
    .command("list")
    .summary("which there are, and how they stand")
    .addOption(jsonFlag())
    .action(async (_flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runServers } = await import("./mcp.ts");
      await runServers(terminal, client, { json: isJson(command) });
    });
  for (const [verb, summary] of [
    ["show", "one server: its tools, how they differ from what you approved, and what looks like poison in them"],
    ["test", "start it, list it anew, and show what it offers"],
  ] as const)
    mcp
      .command(verb)
      .summary(summary)
      .argument("<name>", "its name")
      .addOption(jsonFlag())
      .action(async (name: string, _flags: object, command: Command) => {
        const client = await clientOf(command);
        const { runServer, runTest } = await import("./mcp.ts");
        const options = { name, json: isJson(command), signal };
        await { show: runServer, test: runTest }[verb](terminal, client, options);
      });
  mcp
    .command("approve")
    .summary("let its tools be used, as they were shown")
    .description(
      "Shows what waits and asks. What is approved is exactly what was shown: `nika mcp show NAME` prints a digest of it, with which it can be approved " +
        "later or by a script, and not when any of it changed meanwhile.",
    )
    .argument("<name>", "its name")
    .argument("[tool...]", "only these, by their own names")
    .option("--digest <sha256>", "of what you looked at")
    .addOption(jsonFlag())
    .action(async (name: string, tools: string[], { digest }: { digest?: string }, command: Command) => {
      const client = await clientOf(command);
      const { runApprove } = await import("./mcp.ts");
      await runApprove(terminal, client, { name, tools, digest, json: isJson(command), signal });
    });
  mcp
    .command("allow")
    .summary("let it run as a bare process, without a sandbox")
    .description(
      "Lets a server run without a sandbox: it may then do whatever you may. Good for the command as it is declared now; a changed one asks again.",
    )
    .argument("<name>", "its name")
    .option("--revoke", "take it back")
    .option("--digest <sha256>", "of the command you looked at; otherwise it is shown and asked about")
    .addOption(jsonFlag())
    .action(async (name: string, { revoke, digest }: { revoke?: true; digest?: string }, command: Command) => {
      const client = await clientOf(command);
      const { runAllow } = await import("./mcp.ts");
      await runAllow(terminal, client, { name, isAllowed: revoke !== true, digest, json: isJson(command), signal });
    });
  mcp
    .command("call")
    .summary("call a tool, as clients name it")
    .argument("<tool>", "as in mcp_everything__echo, or vault_search")
    .argument("[arguments]", `a JSON object, as in '{"message": "hi"}'`)
    .addOption(jsonFlag())
    .action(async (name: string, args: string | undefined, _flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runToolCall } = await import("./mcp.ts");
      if (!(await runToolCall(terminal, client, { name, args, json: isJson(command), signal }))) context.exit(findingsExit);
    });
  mcp
    .command("logs")
    .summary("the latest calls")
    .argument("[server]", "of this server only")
    .option("--limit <n>", "how many (at most 200)", countOf, 50)
    .addOption(jsonFlag())
    .action(async (server: string | undefined, flags: { limit: number }, command: Command) => {
      const client = await clientOf(command);
      const { runCalls } = await import("./mcp.ts");
      await runCalls(terminal, client, { server, limit: flags.limit, json: isJson(command) });
    });
  mcp
    .command("reload")
    .summary("look at the files now, and wait until every server was looked at")
    .addOption(jsonFlag())
    .action(async (_flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runReload } = await import("./mcp.ts");
      await runReload(terminal, client, { json: isJson(command) });
    });
  mcp
    .command("serve")
    .summary("all tools as one MCP server over this pipe, for programs that start their servers")
    .addOption(
      new Option("--tools <which>", "list all, or three to search the others; by their number unless said").choices([
        "all",
        "search",
      ]),
    )
    .action(async (flags: { tools?: string }, command: Command) => {
      const client = await clientOf(command);
      const { runMcpServe } = await import("./mcp.ts");
      await runMcpServe(client, { mode: flags.tools, signal });
    });
  addMcpBuildCommands(mcp, context);
  addDiscoverCommands(mcp, context);
  addTokenCommands(mcp, context);
  addSignInCommands(mcp, context);
  addGuardCommands(mcp, context);
  addEventCommands(program, context);
}

function addTokenCommands(mcp: Command, { terminal }: Context): void {
  const token = mcp
    .command("token")
    .summary("make a token for a program that uses your tools; it is shown once")
    .argument("<name>", "who will hold it, such as claude")
    .addOption(jsonFlag())
    .action(async (name: string, _flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runMcpToken } = await import("./mcp.ts");
      await runMcpToken(terminal, client, { name, json: isJson(command) });
    });
  token
    .command("list")
    .summary("which there are, without their secrets")
    .addOption(jsonFlag())
    .action(async (_flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runMcpTokens } = await import("./mcp.ts");
      await runMcpTokens(terminal, client, { json: isJson(command) });
    });
  token
    .command("revoke")
    .summary("from now on it opens nothing")
    .argument("<name>", "its name")
    .addOption(jsonFlag())
    .action(async (name: string, _flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runMcpRevoke } = await import("./mcp.ts");
      await runMcpRevoke(terminal, client, { name, json: isJson(command) });
    });
}

function countOf(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > callsMax)
    throw new InvalidArgumentError(`It must be a number from 1 to ${callsMax}.`);
  return count;
}
