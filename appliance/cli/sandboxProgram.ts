/** The command about sandboxes. See program.ts. */
import type { Command } from "commander";
import { findingsExit } from "./exit.ts";
import { configOf, jsonFlag, type Context } from "./context.ts";

export function addSandboxCommand(program: Command, context: Context): void {
  program
    .command("sandbox")
    .summary("what sandboxes on this machine were seen to hold")
    .description(
      "Shows for each container runtime which limits it was seen to enforce, tried from inside a real container. The first time, and when " +
        "the engine or the runtime changed, it tries them, which takes half a minute. Ends with 1 when no runtime holds.",
    )
    .option("--again", "try everything again")
    .addOption(jsonFlag())
    .action(async (flags: { again?: true; json?: true }, command: Command) => {
      const { dataDir } = configOf(command);
      const { runSandbox } = await import("./sandbox.ts");
      const holds = await runSandbox(context.terminal, { dataDir, again: flags.again === true, json: flags.json === true });
      if (!holds) context.exit(findingsExit);
    });
}
