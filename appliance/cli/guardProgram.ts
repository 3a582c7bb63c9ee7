/** The commands about what conversations have seen, and about new forms of servers that wait for the owner. See program.ts. */
import type { Command } from "commander";
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
}
