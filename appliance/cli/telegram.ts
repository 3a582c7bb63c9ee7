/** `nika telegram`: the chat that mirrors the bridge. Its token comes from a prompt, a pipe or a file, never from the command line. */
import { api } from "../../convex/_generated/api.js";
import type { Client } from "./client.ts";
import { readHidden } from "./hidden.ts";
import type { Terminal } from "./terminal.ts";
import { countOf, oneLine, spanOf, wrap } from "./text.ts";

type JsonOption = { readonly json: boolean };
type ConnectOptions = JsonOption & { readonly file: string | undefined; readonly signal: AbortSignal };
type Connected = { readonly botName: string; readonly isPaired: boolean; readonly link: string; readonly until: number };

/** Telegram is asked who the token is. */
const connectMs = 60_000;

export async function runTelegramConnect(
  terminal: Terminal,
  client: Client,
  { file, json, signal }: ConnectOptions,
): Promise<void> {
  const token = await readHidden("The bot's token, from BotFather", { file, signal });
  const body = { token: token.trim() };
  const connected = await client.post<Connected>("/nika/telegram", {
    authorization: client.adminAuthorization,
    body,
    timeoutMs: connectMs,
  });
  if (json) return terminal.json(connected);
  const { botName, isPaired, link, until } = connected;
  terminal.line(`Connected to @${oneLine(botName)}.`);
  if (isPaired) terminal.line("Its chat is the one it was.");
  else
    for (const line of wrap(`Open ${link} within ${spanOf(until - Date.now())}: that chat becomes the mirror.`, terminal.width))
      terminal.line(line);
}

export async function runTelegramDisconnect(terminal: Terminal, client: Client, { json }: JsonOption): Promise<void> {
  await client.send("DELETE", "/nika/telegram", { authorization: client.adminAuthorization });
  if (json) return terminal.json({ isConnected: false });
  terminal.line("Disconnected; the token and the chat are forgotten.");
}

export async function runTelegramResend(terminal: Terminal, client: Client, { json }: JsonOption): Promise<void> {
  const count = await (await client.http()).mutation(api.telegram.resend, {});
  if (json) return terminal.json({ count });
  terminal.line(count === 0 ? "There is nothing to send again." : `${countOf(count, "post")} on the way once more.`);
}

export async function runTelegramStatus(terminal: Terminal, client: Client, { json }: JsonOption): Promise<void> {
  const status = await (await client.http()).query(api.telegram.status, {});
  if (json) return terminal.json(status);
  if (!status) return terminal.line("No bot is connected; `nika telegram connect` connects one of yours.");
  const { botName, isPaired, pairingUntil, problem, waiting, failed, unknown } = status;
  terminal.line(`@${oneLine(botName)}: ${isPaired ? "mirrors the bridge" : "no chat yet"}`);
  if (pairingUntil !== undefined && pairingUntil < Date.now())
    terminal.line("Its link has expired; `nika telegram connect` makes another.");
  if (problem !== undefined) for (const line of wrap(oneLine(problem), terminal.width)) terminal.line(line);
  terminal.line(`${countOf(waiting, "post")} waiting · ${failed} failed · ${unknown} of which nobody knows whether they arrived`);
}
