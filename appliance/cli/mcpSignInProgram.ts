/** The commands about sign-ins of MCP. See program.ts. */
import type { Command } from "commander";
import { clientOf, isJson, jsonFlag, type Context } from "./context.ts";

export function addSignInCommands(mcp: Command, { terminal, signal }: Context): void {
  mcp
    .command("login")
    .summary("sign in to a server elsewhere that wants to know who asks")
    .description(
      "Prints the address of its sign-in and waits until you were there. What that brings is kept with your secrets, for that server alone.",
    )
    .argument("<name>", "its name")
    .addOption(jsonFlag())
    .action(async (name: string, _flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runLogin } = await import("./mcpSignIn.ts");
      await runLogin(terminal, client, { name, json: isJson(command), signal });
    });
  mcp
    .command("logout")
    .summary("give back and forget what a sign-in brought")
    .argument("<name>", "its name")
    .addOption(jsonFlag())
    .action(async (name: string, _flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runLogout } = await import("./mcpSignIn.ts");
      await runLogout(terminal, client, { name, json: isJson(command) });
    });
  const clients = mcp
    .command("clients")
    .summary("programs elsewhere that signed in to your tools")
    .addOption(jsonFlag())
    .action(async (_flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runClients } = await import("./mcpSignIn.ts");
      await runClients(terminal, client, { json: isJson(command) });
    });
  clients
    .command("revoke")
    .summary("sign one out: from now on nothing it holds is good")
    .argument("<id>", "as `nika mcp clients` lists it")
    .addOption(jsonFlag())
    .action(async (id: string, _flags: object, command: Command) => {
      const client = await clientOf(command);
      const { runClientRevoke } = await import("./mcpSignIn.ts");
      await runClientRevoke(terminal, client, { id, json: isJson(command) });
    });
}
