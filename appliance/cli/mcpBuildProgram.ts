/** The command that makes MCP servers from documents. See mcpProgram.ts. */
import type { Command } from "commander";
import { clientOf, configOf, countFlag, isJson, jsonFlag, type Context } from "./context.ts";
import { findingsExit } from "./exit.ts";

type BuildFlags = {
  readonly name?: string;
  readonly out?: string;
  readonly server?: string;
  readonly tag?: string[];
  readonly max?: number;
  readonly plan?: true | string;
  readonly planFile?: string;
  readonly skill?: true;
  readonly replace?: true;
  readonly yes?: true;
};

/** More would crowd every model's view. */
const toolsMax = 400;

export function addMcpBuildCommands(mcp: Command, context: Context): void {
  addBuildCommand(mcp, context);
  addGrantCommand(mcp, context);
  mcp
    .command("restart")
    .summary("stop it; it starts anew with its next call, with its secrets as they are now")
    .argument("<name>", "its name")
    .addOption(jsonFlag())
    .action(async (name: string, _flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runMcpRestart } = await import("./mcpGrant.ts");
      await runMcpRestart(context.terminal, client, { name, json: isJson(command) });
    });
}

type GrantFlags = {
  readonly clientId: string;
  readonly clientSecret?: true;
  readonly clientSecretFile?: string;
  readonly port?: number;
  readonly folder?: string;
};

function addGrantCommand(mcp: Command, { terminal, signal }: Context): void {
  mcp
    .command("grant")
    .summary("sign in at the service behind a server that was made (OAuth)")
    .argument("<name>", "its name")
    .requiredOption("--client-id <id>", "what the service knows Nika by: you register it there")
    .option("--client-secret", "it has a secret of its own; asked for without showing it, or read from a pipe")
    .option("--client-secret-file <file>", "the same, from a file")
    .option("--port <n>", "where your browser comes back to on this machine; any that is free unless said", countFlag(65_535))
    .option("--folder <folder>", "where the server stands, if not in the data directory")
    .addOption(jsonFlag())
    .action(async (name: string, flags: GrantFlags, command: Command) => {
      const client = await clientOf(command);
      const { runMcpGrant } = await import("./mcpGrant.ts");
      await runMcpGrant(terminal, client, configOf(command), {
        name,
        folder: flags.folder,
        clientId: flags.clientId,
        hasSecret: flags.clientSecret === true,
        secretFile: flags.clientSecretFile,
        port: flags.port ?? 0,
        json: isJson(command),
        signal,
      });
    });
}

function addBuildCommand(mcp: Command, { terminal, signal, exit }: Context): void {
  mcp
    .command("build")
    .summary("make a server from an OpenAPI document, a README or other prose")
    .description(
      "Reads a document of a service (OpenAPI 2.0 and 3, JSON or YAML; or markdown), shows what would be made of it, and after your word makes a " +
        "server in TypeScript, tries it against a service that is played, and declares it. Given the folder of such a server, tries and declares it again.",
    )
    .argument("[spec]", "a file, an address, - for standard input, or the folder of a server that was made")
    .option("--name <name>", "the server's name, part of its tools' names; from the document unless said")
    .option("--out <folder>", "where it is to stand; in the data directory unless said")
    .option("--server <url>", "the service's address, in the place of the document's")
    .option("--tag <group...>", "only operations of these groups")
    .option("--max <n>", "how many tools at most (40 unless said)", countFlag(toolsMax))
    .option("--plan [file]", "only show the plan, or write it to a file to edit")
    .option("--plan-file <file>", "make what an edited plan says")
    .option("--skill", "write a companion skill beside it (SKILL.md)")
    .option("--replace", "take the place of the one that stands there")
    .option("--yes", "do not ask")
    .addOption(jsonFlag())
    .action(async (spec: string | undefined, flags: BuildFlags, command: Command) => {
      const config = configOf(command);
      const { runMcpBuild } = await import("./mcpBuild.ts");
      const isGood = await runMcpBuild(terminal, config, {
        spec,
        name: flags.name,
        out: flags.out,
        server: flags.server,
        tags: flags.tag,
        toolsMax: flags.max,
        planTo: flags.plan === true ? "" : flags.plan,
        planFile: flags.planFile,
        withSkill: flags.skill === true,
        isReplacing: flags.replace === true,
        yes: flags.yes === true,
        json: isJson(command),
        signal,
      });
      if (!isGood) exit(findingsExit);
    });
}
