/** Starts what a server's configuration names: a sandbox, a bare process where the owner allowed it, or a connection. */
import { spawn } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { basename, dirname, isAbsolute, join, posix, relative, resolve, sep } from "node:path";
import { SSEClientTransport, StreamableHTTPClientTransport, type Transport } from "@modelcontextprotocol/client";
import { NikaError, toNikaError } from "../../../convex/model/error.ts";
import { isSecretName, referencesIn, resolveText, type ServerConfig, type StdioTransport } from "../../../convex/model/server.ts";
import type { Sandboxes } from "../../../functions/ports/sandboxes.ts";
import type { Account } from "../auth/account.ts";
import type { Accounts } from "../auth/accounts.ts";
import { mustNotBeAGrant } from "../auth/grants.ts";
import type { Known } from "../guard/known.ts";
import { openOrphans, type Orphans } from "./orphans.ts";
import { pipeTransport } from "../pipe.ts";

export type Launched = {
  readonly transport: Transport;
  readonly way: "sandbox" | "bare" | "remote";
  /** Why it ended, once it did; never for a connection that is merely closed. */
  readonly ended: Promise<string>;
  /** The last it wrote on standard error. */
  readonly errors: () => string;
  /** Nika's account there; absent where none is needed or a header stands in its place. */
  readonly account?: Account | undefined;
  readonly pause?: () => Promise<void>;
  readonly resume?: () => Promise<void>;
  /** Resolves when it is gone. */
  stop(): Promise<void>;
};

export type LaunchOptions = {
  /** Nika's own folder: nothing of it is shown to a server, but for what is cached for them. */
  readonly dataDir: string;
  readonly sandboxes: Sandboxes | undefined;
  /** The environment Nika was started in. */
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** Where `${secret:NAME}` comes from. */
  readonly secret: (name: string, reader: string) => Promise<string | undefined>;
  /** Told of what a server must not say again. */
  readonly known?: Known;
  /** Of remote servers; without it nothing is signed in to. */
  readonly accounts?: Accounts;
  /** Told what is about to run; fails when that is not what was installed. */
  readonly check?: (config: ServerConfig) => Promise<void>;
  readonly log: (line: string) => void;
};
export type LaunchWish = {
  /** Unique among those that run. */
  readonly id: string;
  readonly isBareAllowed: boolean;
};

export type Launcher = (config: ServerConfig, wish: LaunchWish, signal: AbortSignal) => Promise<Launched>;

/** What a process gets besides what its configuration says: nothing of Nika's own. */
const inherited = ["HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "LANG", "TZ"];
const errorCharsKept = 4_000;
/** A server that was told to end gets this long, then TERM, then as long again. */
const endMs = 1_000;

/** Ends bare servers that an earlier life left running; none is started before they are gone. */
export function openLauncher({ dataDir, sandboxes, variables, secret, known, accounts, check, log }: LaunchOptions): Launcher {
  const orphans = openOrphans({ dataDir, log }, endMs);
  return async (declared, wish, signal) => {
    const config = await resolved(declared, { variables, secret });
    const { transport } = config;
    const secrets = secretsOf(declared, config);
    known?.note(declared.name, Object.values(secrets));
    const quiet = (text: string): string => known?.redact(declared.name, text) ?? text;
    const launched = await start();
    return { ...launched, errors: () => quiet(launched.errors()) };

    async function start(): Promise<Launched> {
      if (transport.type !== "stdio") return connect(transport, accounts?.of(config.name, transport));
      await check?.(config);
      if (wish.isBareAllowed) {
        await orphans.gone;
        return startBare(config.name, transport, { variables, orphans });
      }
      if (!sandboxes) throw refusedBare(declared.name, "there is no container engine to hold it");
      return startSandboxed(config, transport, { id: wish.id, dataDir, sandboxes, secrets, signal });
    }
  };
}

export const refusedBare = (name: string, why: string): NikaError =>
  new NikaError("denied", `"${name}" was not started: ${why}. Let it run without a sandbox with \`nika mcp allow ${name}\`.`);

/** The configuration with values in the place of references. Held only as long as it takes to start. */
export async function resolved(
  config: ServerConfig,
  { variables, secret }: Pick<LaunchOptions, "variables" | "secret">,
): Promise<ServerConfig> {
  const texts: string[] = [];
  collect(config.transport, texts);
  const secrets = new Map<string, string | undefined>();
  for (const { type, name } of texts.flatMap(referencesIn))
    if (type === "secret" && !secrets.has(name)) {
      mustNotBeAGrant(name);
      secrets.set(name, await secret(name, `mcp ${config.name}`));
    }
  const put = (text: string): string =>
    resolveText(text, ({ type, name }) => (type === "secret" ? secrets.get(name) : variables[name]));
  const all = (record: Readonly<Record<string, string>>): Record<string, string> =>
    Object.fromEntries(Object.entries(record).map(([key, text]) => [key, put(text)]));
  const { transport, sandbox } = config;
  const filled: ServerConfig["transport"] =
    transport.type === "stdio"
      ? {
          ...transport,
          command: put(transport.command),
          args: transport.args.map(put),
          env: all(transport.env),
          ...(transport.cwd !== undefined && { cwd: put(transport.cwd) }),
        }
      : {
          ...transport,
          url: put(transport.url),
          headers: all(transport.headers),
          ...(transport.oauth && { oauth: { ...all(transport.oauth), grant: transport.oauth.grant } }),
        };
  return { ...config, transport: filled, sandbox: { ...sandbox, mounts: sandbox.mounts.map(put) } };
}

/** What stands in the place of a secret, by its variable or header: a reference to one, or to a variable that is named like one. */
function secretsOf({ transport: declared }: ServerConfig, { transport: filled }: ServerConfig): Record<string, string> {
  const held = (transport: ServerConfig["transport"]): Readonly<Record<string, string>> =>
    transport.type === "stdio" ? transport.env : transport.headers;
  const values = held(filled);
  const isSecret = (key: string, text: string): boolean =>
    referencesIn(text).some(({ type, name }) => type === "secret" || isSecretName(name) || isSecretName(key));
  return Object.fromEntries(
    Object.entries(held(declared)).flatMap(([key, text]) => (isSecret(key, text) ? [[key, values[key] ?? ""]] : [])),
  );
}

function collect(value: unknown, texts: string[]): void {
  if (typeof value === "string") texts.push(value);
  else if (typeof value === "object" && value !== null) for (const one of Object.values(value)) collect(one, texts);
}

function connect({ type, url, headers }: Exclude<ServerConfig["transport"], StdioTransport>, account?: Account): Launched {
  const { promise: ended, resolve: end } = Promise.withResolvers<string>();
  const requestInit = { headers: { ...headers } };
  const signedIn = account?.connect();
  const address = new URL(url);
  const transport: Transport =
    type === "sse"
      ? new SSEClientTransport(address, {
          requestInit,
          ...signedIn,
          eventSourceInit: {
            async fetch(to, init) {
              const response = await fetch(to, { ...init, headers: { ...toRecord(init?.headers), ...headers } });
              // The session is this stream: another one, which would be begun by itself, is unknown there.
              return watched(response, () => end("its stream ended"));
            },
          },
        })
      : new StreamableHTTPClientTransport(address, { requestInit, ...signedIn });
  return {
    transport,
    way: "remote",
    account,
    ended,
    errors: () => "",
    async stop() {
      if (transport instanceof StreamableHTTPClientTransport && transport.sessionId !== undefined)
        // A server that does not care for being told is no trouble.
        await Promise.race([transport.terminateSession().catch(() => undefined), after(endMs)]);
      await transport.close();
    },
  };
}

/** The same response, whose end is told. */
function watched(response: Response, ended: () => void): Response {
  const { body, status, headers, url } = response;
  if (!response.ok || !body) return response;
  const stream = ReadableStream.from(
    (async function* () {
      try {
        yield* body;
      } finally {
        ended();
      }
    })(),
  );
  return Object.defineProperty(new Response(stream, { status, headers }), "url", { value: url });
}

const toRecord = (headers: unknown): Record<string, string> =>
  headers instanceof Headers ? Object.fromEntries(headers) : { ...(headers as Record<string, string> | undefined) };

type BareTools = Pick<LaunchOptions, "variables"> & { readonly orphans: Orphans };

function startBare(
  name: string,
  { command, args, env, cwd }: StdioTransport,
  { variables, orphans }: BareTools,
): Promise<Launched> {
  const base = Object.fromEntries(inherited.flatMap((name) => (variables[name] === undefined ? [] : [[name, variables[name]]])));
  // A group of its own, so that what it starts ends with it.
  const child = spawn(command, args, {
    env: { ...base, ...env },
    stdio: "pipe",
    detached: true,
    ...(cwd !== undefined && { cwd }),
  });
  const errors = tailOf(child.stderr);
  const ended = new Promise<string>((done) => {
    child.once("exit", (code, signal) => {
      if (child.pid !== undefined) orphans.forget(child.pid);
      done(signal === null ? `it ended with code ${code}` : `it was ended by ${signal}`);
    });
  });
  const kill = (signal: NodeJS.Signals): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, signal);
    } catch {
      // All of it is gone.
    }
  };
  const stop = async (): Promise<void> => {
    child.stdin.end();
    const isGone = (): Promise<boolean> => Promise.race([ended.then(() => true), after(endMs).then(() => false)]);
    if (!(await isGone())) {
      kill("SIGTERM");
      if (!(await isGone())) kill("SIGKILL");
    }
    await ended;
    // What it left behind in its group.
    kill("SIGKILL");
  };
  return new Promise((done, fail) => {
    child.once("error", (error: NodeJS.ErrnoException) =>
      fail(
        error.code === "ENOENT"
          ? new NikaError("missing", `There is no program "${command}" here.`, { cause: error })
          : new NikaError("unavailable", `"${command}" cannot be started (${String(error.code)}).`, { cause: error }),
      ),
    );
    child.once("spawn", () => {
      if (child.pid !== undefined) orphans.note(child.pid, name);
      done({
        transport: pipeTransport({ input: child.stdin, output: child.stdout }, stop),
        way: "bare",
        ended,
        errors,
        stop,
      });
    });
  });
}

/** Where a server keeps what it is to find again. It stays when the server is removed. */
export const storageOf = (dataDir: string, server: string): string => join(dataDir, "storage", "mcp", server);

type SandboxTools = {
  readonly id: string;
  readonly secrets: Readonly<Record<string, string>>;
  readonly dataDir: string;
  readonly sandboxes: Sandboxes;
  readonly signal: AbortSignal;
};

/** Of Nika's own folder: copies of what is the owner's anyway, and packages, which anybody can have. */
const shown = ["cache", "mcp/packages", "mcp/servers"];

async function startSandboxed(
  config: ServerConfig,
  transport: StdioTransport,
  { id, dataDir, sandboxes, secrets, signal }: SandboxTools,
): Promise<Launched> {
  const { command, language, mounts } = toInside(config, transport);
  const { runtime, memoryBytes, cpus, processesMax, tmpBytes, egress, storageBytes: bytesMax } = config.sandbox;
  for (const { from } of mounts)
    if (isInside(dataDir, from) || (isInside(from, dataDir) && !shown.some((dir) => isInside(from, join(dataDir, dir)))))
      throw new NikaError("denied", `"${config.name}" may not see ${from}, because Nika's own folder ${dataDir} is there.`);
  const opening = sandboxes.open(
    {
      name: id,
      language,
      runtime,
      command,
      environment: Object.fromEntries(Object.entries(transport.env).filter(([key]) => !Object.hasOwn(secrets, key))),
      secrets,
      mounts,
      egress,
      memoryBytes,
      cpus,
      processesMax,
      tmpBytes,
      ...(bytesMax !== undefined && { storage: { from: storageOf(dataDir, config.name), bytesMax } }),
    },
    signal,
  );
  const sandbox = await opening.catch((error: unknown) => {
    const { code, message } = toNikaError(error);
    throw code === "unavailable" ? refusedBare(config.name, message.replace(/\.$/, "")) : error;
  });
  const ends = {
    exit: "it ended",
    memory: "it used up its memory",
    storage: "it stored more than it may",
    time: "its time was over",
    stopped: "it was stopped",
    lost: "it was lost",
  };
  const ended = sandbox.ended.then(({ code, reason }) => `${ends[reason]}${code === undefined ? "" : ` with code ${code}`}`);
  return {
    transport: pipeTransport({ input: sandbox.input, output: sandbox.output }, () => sandbox.stop()),
    way: "sandbox",
    ended,
    errors: tailOf(sandbox.errors),
    pause: () => sandbox.pause(),
    resume: () => sandbox.resume(),
    stop: () => sandbox.stop(),
  };
}

type Inside = {
  readonly command: readonly string[];
  readonly language: "node" | "python";
  readonly mounts: readonly { readonly from: string; readonly to: string }[];
};

/** Interpreters whose image is made of this machine's own. What fetches a package first is for the installer. */
function languageOf(program: string): "node" | "python" | undefined {
  if (/^node(?:js)?$/.test(program)) return "node";
  return /^python3?(?:\.\d+)?$/.test(program) ? "python" : undefined;
}

/**
 * The command as it is inside: its program's package mounted read-only, and what its configuration names at the path it has outside, so that
 * paths in arguments stay true. ESM looks for packages in folders of that very name, so one below `node_modules` brings that whole folder.
 */
export function toInside(config: ServerConfig, { command, args, cwd }: StdioTransport): Inside {
  const language = languageOf(basename(command));
  if (!language)
    throw new NikaError(
      "invalid",
      `"${config.name}" runs "${basename(command)}", which has no sandbox: name the program itself, as in node /path/to/server.js.`,
    );
  const script = args.findIndex((one) => !one.startsWith("-"));
  const file = args[script];
  if (file === undefined || args.slice(0, script).some((flag) => ["-m", "-c", "-e"].includes(flag)))
    throw new NikaError("invalid", `"${config.name}" does not say which file to run; its first argument must be one.`);
  const path = isAbsolute(file) ? file : resolve(cwd ?? "/", file);
  if (!existsSync(path)) throw new NikaError("missing", `"${config.name}" is to run ${path}, which is not there.`);
  const real = realpathSync(path);
  const root = packageRoot(real);
  const to = root === real ? `/srv/${basename(real)}` : basename(root) === "node_modules" ? "/srv/node_modules" : "/srv/app";
  const inside = root === real ? to : posix.join(to, relative(root, real).split(sep).join("/"));
  const mounts = [{ from: root, to }, ...config.sandbox.mounts.map((from) => ({ from, to: from }))];
  const program = language === "node" ? "/usr/local/bin/node" : "/usr/local/bin/python3";
  return { language, mounts, command: [program, ...args.slice(0, script), inside, ...args.slice(script + 1)] };
}

/** Whether `path` is `dir` or below it. */
function isInside(path: string, dir: string): boolean {
  const way = relative(dir, path);
  return way === "" || (!way.startsWith("..") && !isAbsolute(way));
}

function packageRoot(file: string): string {
  const parts = file.split(sep);
  const modules = parts.indexOf("node_modules");
  if (modules !== -1) return parts.slice(0, modules + 1).join(sep);
  for (let dir = dirname(file); dirname(dir) !== dir; dir = dirname(dir))
    if (["package.json", "pyproject.toml", "setup.py"].some((name) => existsSync(join(dir, name)))) return dir;
  return file;
}

function tailOf(stream: NodeJS.ReadableStream): () => string {
  let text = "";
  stream.on("data", (chunk: Buffer | string) => {
    text = `${text}${chunk.toString()}`.slice(-errorCharsKept);
  });
  stream.on("error", () => undefined);
  return () => text.trim();
}

const after = (ms: number): Promise<void> =>
  new Promise((done) => {
    setTimeout(done, ms).unref();
  });
