/** `nika worker`: this machine as a worker of another one's Nika, and who works for this one. */
import { createHash, randomBytes } from "node:crypto";
import type { FunctionReturnType } from "convex/server";
import { api } from "../../convex/_generated/api.js";
import { NikaError } from "../../convex/model/error.ts";
import { lanes } from "../../convex/model/lane.ts";
import type { Config } from "../config.ts";
import { startWorker } from "../worker.ts";
import type { Client } from "./client.ts";
import { readHidden } from "./hidden.ts";
import type { Terminal } from "./terminal.ts";
import { countOf, oneLine, spanOf, table } from "./text.ts";

type JoinOptions = {
  readonly url: string;
  readonly tokenFile: string | undefined;
  readonly token: string | undefined;
  readonly slots: number | undefined;
  readonly signal: AbortSignal;
};

/** What runs gets this long to end before it goes back to the others. */
const graceMs = 30_000;

/** Works until Ctrl-C or SIGTERM. Fails when the appliance does not let it in, or sends it away. */
export async function runWorker(terminal: Terminal, config: Config, { url, signal, ...from }: JoinOptions): Promise<void> {
  const secret = await readSecret(terminal, config, { ...from, signal });
  if (!isPrivate(url))
    terminal.note(
      `The connection to ${url} is not encrypted: whoever is on the way can read the token and the documents. Use https or a tunnel.`,
    );
  const log = (line: string): void => terminal.note(`${new Date().toISOString()} ${line}`);
  const worker = await startWorker({ url, secret, config: { ...config, slots: from.slots ?? config.slots }, log });
  terminal.note(`Works as ${worker.name} for ${url}, until Ctrl-C.`);
  const told = new AbortController();
  const onStop = (): void => told.abort();
  process.on("SIGTERM", onStop);
  signal.addEventListener("abort", onStop);
  if (signal.aborted) onStop();
  const asked = new Promise<void>((resolve) => {
    if (told.signal.aborted) resolve();
    told.signal.addEventListener("abort", () => resolve(), { once: true });
  });
  try {
    await Promise.race([asked, worker.ended]);
    terminal.note("Stops; what runs is finished or given back.");
  } finally {
    await worker.stop(graceMs);
    process.off("SIGTERM", onStop);
  }
}

type From = Pick<JoinOptions, "tokenFile" | "token" | "signal">;

async function readSecret(terminal: Terminal, { workerSecret }: Config, { tokenFile, token, signal }: From): Promise<string> {
  if (token !== undefined) {
    terminal.note("A token on the command line can be read by other users of this machine; use --token-file.");
    return token.trim();
  }
  const secret =
    tokenFile === undefined && workerSecret !== undefined ? workerSecret : await readHidden("Token", { file: tokenFile, signal });
  if (secret.trim() === "")
    throw new NikaError("invalid", "The token is empty; `nika worker token` at the other machine makes one.");
  return secret.trim();
}

function isPrivate(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === "https:" || ["localhost", "127.0.0.1", "[::1]"].includes(hostname);
}

type JsonOption = { readonly json: boolean };

/** `nika worker token`. The secret is made here and shown once; the control plane gets only its hash. */
export async function runWorkerToken(
  terminal: Terminal,
  client: Client,
  { name = `worker-${randomBytes(2).toString("hex")}`, json }: JsonOption & { readonly name: string | undefined },
): Promise<void> {
  const token = `nkw_${randomBytes(32).toString("base64url")}`;
  const hash = createHash("sha256").update(token).digest("hex");
  await (await client.http()).mutation(api.workers.addToken, { name, hash });
  if (json) return terminal.json({ name, token, url: client.run.url });
  terminal.line(token);
  terminal.note(
    `This is shown once, and lets one machine join as ${name}. There: nika worker --join ${client.run.url} --token-file FILE`,
  );
}

/** `nika worker list`. */
export async function runWorkerList(terminal: Terminal, client: Client, { json }: JsonOption): Promise<void> {
  const http = await client.http();
  const [workers, tokens] = await Promise.all([http.query(api.workers.list, {}), http.query(api.workers.tokens, {})]);
  const absent = tokens.filter(({ name }) => !workers.some((worker) => worker.name === name));
  if (json) return terminal.json({ workers, tokens });
  const rows = [
    ...workers.map((worker) => workerRow(worker, Date.now())),
    ...absent.map(({ name }) => [oneLine(name), "not joined yet", "", "", "", ""]),
  ];
  if (rows.length === 0) return terminal.line("Nobody works for this Nika yet.");
  for (const line of table(rows, { width: terminal.width, give: [4, 2] })) terminal.line(line);
}

type WorkerView = FunctionReturnType<typeof api.workers.list>[number];

/** Name, what it does, host and version, lanes, kinds, last sign of life. */
export function workerRow(worker: WorkerView, nowMs: number): string[] {
  const { name, isUp, holds, about, seenAt, isJoined } = worker;
  return [
    oneLine(name),
    isUp ? (holds > 0 ? countOf(holds, "job") : "idle") : "away",
    about ? `${oneLine(about.host)} ${about.version}` : "",
    about ? lanes.map((lane) => `${lane} ${about.lanes[lane]}`).join(", ") : `${worker.slots} slots`,
    isJoined ? (about?.kinds ?? []).join(", ") : "everything",
    seenAt === undefined ? "" : isUp ? `alive ${spanOf(nowMs - seenAt)} ago` : `last seen ${spanOf(nowMs - seenAt)} ago`,
  ];
}

/** `nika worker revoke`. */
export async function runWorkerRevoke(
  terminal: Terminal,
  client: Client,
  { name, json }: JsonOption & { readonly name: string },
): Promise<void> {
  await (await client.http()).mutation(api.workers.revokeToken, { name });
  if (json) return terminal.json({ name });
  terminal.line(`${oneLine(name)} works for this Nika no longer.`);
}
