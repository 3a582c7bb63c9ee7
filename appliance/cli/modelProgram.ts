/** The commands about what Nika learns from how it is used. See program.ts. */
import type { Command } from "commander";
import { clientOf, isJson, jsonFlag, type Context } from "./context.ts";

type UseFlags = { readonly allow?: readonly string[]; readonly nothing?: true; readonly erase?: true };

export function addModelCommands(program: Command, context: Context): void {
  const model = program.command("model").summary("what Nika may learn from how you use it");
  model
    .command("use")
    .summary("what is remembered of your questions, and whether it may be")
    .description(
      "Without flags, says what is remembered. Nothing is, until you allow it: your questions, what was shown, and what of it you opened, copied " +
        "or praised. It stays on this machine, and is what an embedding of your own can be trained on.",
    )
    .option("--allow <scope...>", "remember the use of documents of these scopes: private, team, tenant, public")
    .option("--nothing", "remember nothing from now on")
    .option("--erase", "forget all that was remembered")
    .addOption(jsonFlag())
    .action(async (flags: UseFlags, command: Command) => {
      const { runModelUse } = await import("./model.ts");
      await runModelUse(context.terminal, await clientOf(command), { ...flags, json: isJson(command) });
    });
}
