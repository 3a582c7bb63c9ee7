/** `nika gpu ssh`: signs in to a rented machine by its own key, which is a file only meanwhile. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NikaError } from "../../convex/model/error.ts";
import type { Client } from "./client.ts";
import type { Terminal } from "./terminal.ts";
import { printable } from "./text.ts";

type Options = {
  readonly machine: string;
  readonly words: readonly string[];
  readonly keyFile: string | undefined;
  readonly signal: AbortSignal;
};

const waitMs = 60_000;
/** As the appliance answers; `hostKey` is absent where the machine makes its own. */
type SignIn = {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly privateKey: string;
  readonly hostKey?: string;
};

/** The exit code: of what ran there, as `ssh` tells it. */
export async function runGpuSsh(
  terminal: Terminal,
  client: Client,
  { machine, words, keyFile, signal }: Options,
): Promise<number> {
  const authorization = `Bearer ${await client.token()}`;
  const way = await client.post<SignIn>("/nika/gpu/signIn", { authorization, body: { machine }, timeoutMs: waitMs, signal });
  if (keyFile === undefined) return await openSsh(way, words);
  await writeFile(keyFile, keyText(way), { mode: 0o600, flag: "wx" }).catch((cause: unknown) => {
    throw new NikaError("conflict", `${keyFile} is there already, or cannot be written.`, { cause });
  });
  terminal.line(`Whoever has ${keyFile} can sign in to ${way.name} for as long as it lives; delete it when you are done.`);
  terminal.line(`ssh -i ${keyFile} -p ${way.port} ${way.user}@${way.host}`);
  if (way.hostKey !== undefined) terminal.line(`It answers with ${way.hostKey}`);
  return 0;
}

const keyText = ({ privateKey }: SignIn): string => (privateKey.endsWith("\n") ? privateKey : `${privateKey}\n`);

/** In a folder that nobody else can look into, removed when the session ends, however that is. `program` is another one in tests. */
export async function openSsh(way: SignIn, words: readonly string[], program = "ssh"): Promise<number> {
  const { host, port, user, hostKey } = way;
  const folder = await mkdtemp(join(tmpdir(), "nikaSsh"));
  try {
    const [key, known] = [join(folder, "key"), join(folder, "known")];
    await writeFile(key, keyText(way), { mode: 0o600 });
    // Under a name of its own, so that neither address nor port matters.
    await writeFile(known, hostKey === undefined ? "" : `${way.name} ${hostKey}\n`, { mode: 0o600 });
    const settings = [
      "IdentitiesOnly=yes",
      `UserKnownHostsFile=${known}`,
      "GlobalKnownHostsFile=/dev/null",
      `HostKeyAlias=${way.name}`,
      // What nobody could know beforehand the owner is asked about, by ssh itself.
      `StrictHostKeyChecking=${hostKey === undefined ? "ask" : "yes"}`,
    ];
    const options = ["-i", key, "-p", String(port), ...settings.flatMap((one) => ["-o", one])];
    const child = spawn(program, [...options, `${user}@${host}`, ...words], { stdio: "inherit" });
    const [code] = (await once(child, "exit").catch((cause: unknown) => {
      throw new NikaError("unavailable", `The program ${program} could not be started; is it installed?`, { cause });
    })) as [number | null];
    return code ?? 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** `nika gpu console`: what its provider has of a machine's output. */
export async function runGpuConsole(
  terminal: Terminal,
  client: Client,
  { machine, signal }: Pick<Options, "machine" | "signal">,
): Promise<void> {
  const authorization = `Bearer ${await client.token()}`;
  const body = { machine };
  const { name, text } = await client.post<{ name: string; text: string }>("/nika/gpu/console", {
    authorization,
    body,
    timeoutMs: waitMs,
    signal,
  });
  if (text === "") return terminal.line(`Its provider has no output of ${name} yet; some tell it minutes later.`);
  process.stdout.write(printable(text));
}
