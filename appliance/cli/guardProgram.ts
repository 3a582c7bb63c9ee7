/** The commands about what conversations have seen, and about new forms of servers that wait for the owner. See program.ts. */
import { Option, type Command } from "commander";
import { clientOf, isJson, jsonFlag, type Context } from "./context.ts";

export function addGuardCommands(mcp: Command, { terminal }: Context): void {
  mcp
    .command("seen")
    .summary("which conversations have read private content, and content from outside")
    .description(
      "A conversation that has read both is asked before a tool may send anything out or change anything; docs/threats.md tells why. Stateless clients of one " +
        "token count as one conversation until it was silent for an hour.",
    )
    .option("--clear", "take all of them to be over")
    .addOption(jsonFlag())
    .action(async (flags: { clear?: true }, command: Command) => {
      const client = await clientOf(command);
      const { runSeen } = await import("./guard.ts");
      await runSeen(terminal, client, { isOver: flags.clear === true, json: isJson(command) });
    });
  mcp
    .command("upgrade")
    .summary("a new form of a server that answers otherwise: how, and whether it takes the old one's place")
    .description(
      "When the command of a server changes, its latest calls that only read are made once more of the new form. Where the answers are the same, it takes " +
        "the old one's place by itself; otherwise the old one goes on until you say so here.",
    )
    .argument("<name>", "its name")
    .addOption(
      new Option("--accept <sha256>", "the new one, of the digest that was shown, takes the old one's place").conflicts("refuse"),
    )
    .option("--refuse", "the old one goes on")
    .addOption(jsonFlag())
    .action(async (name: string, { accept: accepted, refuse }: { accept?: string; refuse?: true }, command: Command) => {
      const client = await clientOf(command);
      const { runUpgrade } = await import("./guard.ts");
      await runUpgrade(terminal, client, { name, accepted, isRefused: refuse === true, json: isJson(command) });
    });
}
