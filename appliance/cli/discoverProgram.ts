/** The commands that find and install MCP servers. See mcpProgram.ts. */
import { InvalidArgumentError, Option, type Command } from "commander";
import type { RegistryType } from "../../convex/model/registry.ts";
import { clientOf, countFlag, isJson, jsonFlag, type Context } from "./context.ts";

const limitMax = 100;

export function addDiscoverCommands(mcp: Command, context: Context): void {
  const { terminal, signal } = context;
  mcp
    .command("search")
    .summary("find servers in the registries that are turned on")
    .description(
      "Finds servers by words, in the copies of registries on this machine and in registries that are asked live. The first search turns the official " +
        "registry on; before that, Nika asks nobody anything.",
    )
    .argument("[word...]", "what it should do, or its name")
    .addOption(registryFlag())
    .option("--limit <n>", `how many (at most ${limitMax})`, countFlag(limitMax), 20)
    .addOption(jsonFlag())
    .action(async (words: string[], flags: { registry?: string; limit: number }, command: Command) => {
      const client = await clientOf(command);
      const { runMcpSearch } = await import("./discover.ts");
      const { registry, limit } = flags;
      await runMcpSearch(terminal, client, { words: words.join(" "), registry, limit, json: isJson(command), signal });
    });
  mcp
    .command("info")
    .summary("what a registry and its package say of a server, and what speaks against it")
    .argument("<name>", "as a registry has it, or npm:NAME, pypi:NAME; NAME@VERSION for a version")
    .addOption(registryFlag())
    .addOption(remoteFlag())
    .addOption(jsonFlag())
    .action(async (name: string, flags: { registry?: string; remote?: true }, command: Command) => {
      const client = await clientOf(command);
      const { runMcpInfo } = await import("./discover.ts");
      const { registry, remote } = flags;
      await runMcpInfo(terminal, client, {
        name,
        registry,
        alias: undefined,
        isRemote: remote === true,
        json: isJson(command),
        signal,
      });
    });
  addInstall(mcp, context);
  mcp
    .command("remove")
    .summary("take a server out of Nika's own files, with its package and what you approved of it")
    .argument("<name>", "its name here")
    .option("--yes", "do not ask")
    .addOption(jsonFlag())
    .action(async (name: string, flags: { yes?: true }, command: Command) => {
      const client = await clientOf(command);
      const { runMcpRemove } = await import("./discover.ts");
      await runMcpRemove(terminal, client, { name, yes: flags.yes === true, json: isJson(command), signal });
    });
  for (const isOn of [true, false])
    mcp
      .command(isOn ? "on" : "off")
      .summary(isOn ? "turn a server on again" : "turn a server off; what you approved of it is kept")
      .argument("<name>", "its name here")
      .addOption(jsonFlag())
      .action(async (name: string, _flags: object, command: Command) => {
        const client = await clientOf(command);
        const { runTurn } = await import("./discover.ts");
        await runTurn(terminal, client, { name, isOn, json: isJson(command), signal });
      });
  addRegistries(mcp, context);
}

type InstallFlags = {
  readonly registry?: string;
  readonly as?: string;
  readonly remote?: true;
  readonly set: Record<string, string>;
  readonly arg: string[];
  readonly env: Record<string, string>;
  readonly secret: string[];
  readonly egress: string[];
  readonly storage?: string;
  readonly mount: string[];
  readonly despiteWarnings?: true;
  readonly approve?: true;
};

function addInstall(mcp: Command, { terminal, signal }: Context): void {
  const each = (text: string, before: string[]): string[] => [...before, text];
  mcp
    .command("install")
    .summary(
      "fetch a server, verify it, try it in a sandbox without network, and declare it; or put another version in its place",
    )
    .description(
      "Fetches a server from npm or PyPI as this machine has them configured, without running anything of it, checks every file against what its " +
        "registry says, lists it in a sandbox without network, and declares it. Nobody can use it before you approve it. Given a version, it takes " +
        "the place of the one that is there; tools that changed wait for you.",
    )
    .argument("<name>", "as a registry has it, or npm:NAME, pypi:NAME; NAME@VERSION for a version")
    .addOption(registryFlag())
    .addOption(remoteFlag())
    .option("--as <name>", "what it is called here")
    .option("--set <name=value>", "a value it asks for; see `nika mcp info`", pairs, {})
    .option("--arg <text>", "a further argument for it", each, [])
    .option("--env <name=value>", "a further variable for it, no secret", pairs, {})
    .option("--secret <name>", "a further variable whose value is kept by `nika secrets`", each, [])
    .option("--egress <host:port>", "what it may reach, exactly", each, [])
    .option("--mount <path>", "a folder or file it may read", each, [])
    .option("--storage <size>", "a folder of this size, /data inside, that it may write to and finds again, such as 64Mi")
    .option("--despite-warnings", "although something speaks against it")
    .option("--approve", "let its tools be used at once, without looking at them")
    .addOption(jsonFlag())
    .action(async (name: string, flags: InstallFlags, command: Command) => {
      const client = await clientOf(command);
      const { runMcpInstall } = await import("./discover.ts");
      await runMcpInstall(terminal, client, {
        name,
        registry: flags.registry,
        alias: flags.as,
        isRemote: flags.remote === true,
        values: flags.set,
        args: flags.arg,
        env: flags.env,
        secrets: flags.secret,
        egress: flags.egress,
        mounts: flags.mount,
        storage: flags.storage,
        despiteWarnings: flags.despiteWarnings === true,
        approves: flags.approve === true,
        json: isJson(command),
        signal,
      });
    });
}

function addRegistries(mcp: Command, { terminal }: Context): void {
  const registries = mcp
    .command("registries")
    .summary("which registries of servers there are, and which Nika asks")
    .addOption(jsonFlag())
    .action(async (_flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runRegistries } = await import("./discover.ts");
      await runRegistries(terminal, client, { json: isJson(command) });
    });
  registries
    .command("add")
    .summary("a registry of your own, or another Nika; its key is the secret of its name unless said")
    .argument("<name>", "small letters, digits and hyphens")
    .argument("<url>", "its address, without /v0.1")
    .addOption(new Option("--type <which>", "what it speaks").choices(["mcp", "smithery", "glama"]).default("mcp"))
    .option("--secret <name>", "the secret that is its key")
    .addOption(jsonFlag())
    .action(async (name: string, url: string, flags: { type: RegistryType; secret?: string }, command: Command) => {
      const client = await clientOf(command);
      const { runSetRegistry } = await import("./discover.ts");
      const { type, secret } = flags;
      await runSetRegistry(terminal, client, {
        name,
        url,
        type,
        isOn: true,
        ...(secret !== undefined && { secret }),
        json: isJson(command),
      });
    });
  for (const isOn of [true, false])
    registries
      .command(isOn ? "on" : "off")
      .summary(isOn ? "ask it from now on, and copy it once an hour where that can be" : "ask it nothing any more")
      .argument("<name>", "its name")
      .addOption(jsonFlag())
      .action(async (name: string, _flags: object, command: Command) => {
        const client = await clientOf(command);
        const { runSetRegistry } = await import("./discover.ts");
        await runSetRegistry(terminal, client, { name, isOn, json: isJson(command) });
      });
  registries
    .command("remove")
    .summary("forget one of your own, with what was copied from it; a built-in one is turned off")
    .argument("<name>", "its name")
    .addOption(jsonFlag())
    .action(async (name: string, _flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runRemoveRegistry } = await import("./discover.ts");
      await runRemoveRegistry(terminal, client, { name, json: isJson(command) });
    });
}

const registryFlag = (): Option => new Option("--registry <name>", "only this one; see `nika mcp registries`");
const remoteFlag = (): Option => new Option("--remote", "the server its maker runs, rather than its package");

function pairs(text: string, before: Record<string, string>): Record<string, string> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("It must be NAME=VALUE.");
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}
