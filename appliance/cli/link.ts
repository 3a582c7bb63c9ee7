/** The one-time link that makes a browser the owner's. */
import type { Client } from "./client.ts";
import type { Terminal } from "./terminal.ts";
import { spanOf, wrap } from "./text.ts";

export type Link = { readonly url: string; readonly expiresAt: number };

export async function makeLink(client: Client): Promise<Link> {
  return client.post<Link>("/nika/links", { authorization: client.adminAuthorization });
}

/** The link in words, and as a QR code for a phone when a person is looking. */
export async function printLink(terminal: Terminal, { url, expiresAt }: Link): Promise<void> {
  terminal.line(`Open this link to sign in; it works once, for ${spanOf(expiresAt - Date.now())}:`);
  terminal.line();
  terminal.line(`  ${terminal.style("cyan", url)}`);
  if (terminal.isInteractive) await printCode(terminal, url);
}

/** Dark on light in any theme, because not every phone reads an inverted code. Left away where it does not fit. */
async function printCode(terminal: Terminal, url: string): Promise<void> {
  const { default: qrcode } = await import("qrcode");
  // Without colours the best guess is a dark terminal, on which blocks are the light parts.
  const color = terminal.hasColor ? {} : { color: { dark: "#ffffff", light: "#000000" } };
  // The margin must be even: half of it is counted in lines of two modules.
  const code = await qrcode.toString(url, { type: "utf8", errorCorrectionLevel: "L", margin: 2, ...color });
  const lines = code.split("\n").filter((line) => line !== "");
  if (terminal.width < Math.max(...lines.map((line) => line.length)) + 2) return;
  terminal.line();
  for (const line of lines) terminal.line(`  ${terminal.style(["black", "bgWhiteBright"], line)}`);
  if (!isLoopback(url)) return;
  const note = "This address is this machine's own; for a phone set NIKA_PUBLIC_URL to an address it can reach.";
  for (const line of wrap(note, terminal.width - 2)) terminal.line(terminal.style("dim", `  ${line}`));
}

function isLoopback(url: string): boolean {
  return ["127.0.0.1", "localhost", "[::1]"].includes(new URL(url).hostname);
}

export async function runLink(terminal: Terminal, client: Client, options: { json: boolean }): Promise<void> {
  const link = await makeLink(client);
  if (options.json) terminal.json(link);
  else await printLink(terminal, link);
}
