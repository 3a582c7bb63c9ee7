/** The command about sandboxes. See program.ts. */
import type { Command, Option } from "commander";
import type { Config } from "../config.ts";
import { findingsExit } from "./exit.ts";
import type { Context } from "./program.ts";

type Tools = { readonly configOf: (command: Command) => Config; readonly jsonFlag: () => Option };

export function addSandboxCommand(program: Command, context: Context, { configOf, jsonFlag }: Tools): void {
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
