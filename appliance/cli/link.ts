/** The one-time link that makes a browser the owner's. */
import type { Client } from "./client.ts";
import type { Terminal } from "./terminal.ts";
import { spanOf } from "./text.ts";

export type Link = { readonly url: string; readonly expiresAt: number };

export async function makeLink(client: Client): Promise<Link> {
  return client.post<Link>("/nika/links", { authorization: client.adminAuthorization });
}

/** The link in words, and as a QR code for a phone when a person is looking. */
export async function printLink(terminal: Terminal, { url, expiresAt }: Link): Promise<void> {
  terminal.line(`Open this link to sign in; it works once, for ${spanOf(expiresAt - Date.now())}:`);
  terminal.line();
  terminal.line(`  ${terminal.style("cyan", url)}`);
  if (!terminal.isInteractive) return;
  const { default: qrcode } = await import("qrcode");
  const code = await qrcode.toString(url, { type: "utf8", errorCorrectionLevel: "L", margin: 1 });
  const lines = code.trimEnd().split("\n");
  if (terminal.width < Math.max(...lines.map((line) => line.length)) + 2) return;
  terminal.line();
  for (const line of lines) terminal.line(`  ${line}`);
  if (isLoopback(url))
    terminal.line(
      terminal.style(
        "dim",
        "  This address is this machine's own; a phone needs NIKA_PUBLIC_URL to point somewhere it can reach.",
      ),
    );
}

function isLoopback(url: string): boolean {
  return ["127.0.0.1", "localhost", "[::1]"].includes(new URL(url).hostname);
}

export async function runLink(terminal: Terminal, client: Client, options: { json: boolean }): Promise<void> {
  const link = await makeLink(client);
  if (options.json) terminal.json(link);
  else await printLink(terminal, link);
}
