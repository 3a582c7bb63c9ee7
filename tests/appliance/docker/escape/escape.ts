/**
 * Attempts to get out of a sandbox, or to take more than it may have. Most are tried from inside (guest.mjs, guest.py), and what listens
 * on this machine counts who reached it; the greedy ones are judged from outside.
 */
import { randomUUID } from "node:crypto";
import { createSocket } from "node:dgram";
import { readFileSync, statfsSync } from "node:fs";
import { chmodSync, cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo, type Server } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { isNikaError } from "../../../../convex/model/error.ts";
import type { Sandboxes, SandboxRuntime, SandboxSpec } from "../../../../functions/ports/sandboxes.ts";
import { specOf } from "../../../contracts/sandboxes.ts";

/** `out`: what worked although it must not; undefined when nothing did. */
export type Attempt = { readonly name: string; readonly out: string | undefined };

export type Escape = {
  readonly sandboxes: Sandboxes;
  readonly runtime: SandboxRuntime;
  /** From which the sandboxes may mount. */
  readonly root: string;
  readonly hasPython: boolean;
  /** Leaves most of the greedy ones to the drill. */
  readonly isShort?: boolean;
};

/**
 * gVisor answers these from a kernel of its own, in which they change nothing of this machine: its own namespaces, rings, log, devices
 * and priorities. Programs without a name and libraries from /tmp run there as well: its noexec stops starting a file, and no more.
 */
const ofItsOwnKernel = new Set([
  ...["user", "mount", "network", "process"].map((kind) => `call: unshare the ${kind} namespace`),
  "call: io_uring_setup",
  "call: syslog",
  "kernel: live before others when memory ends",
  "device: disks and memory",
  "program: from memory that has no name",
  "program: a library from /tmp",
  "limit: priority",
]);
const never = new AbortController().signal;
const here = new URL("./", import.meta.url);

export async function attemptAll(escape: Escape): Promise<Attempt[]> {
  const ground = await prepare(escape.root);
  try {
    const inside = await attemptInside(escape, ground);
    const greedy: Attempt[] = [];
    for (const attempt of greedyAttempts) if (!escape.isShort || short.has(attempt.title)) greedy.push(await attempt.run(escape));
    const mounts = await attemptMounts(escape, ground);
    return [...inside, ...ground.reached(), ...mounts, ...greedy];
  } finally {
    ground.close();
  }
}

type Ground = Awaited<ReturnType<typeof prepare>>;

/** What there is to steal: a file, a variable, and listeners on every address of this machine. */
async function prepare(root: string) {
  const word = `canary${randomUUID().replaceAll("-", "")}`;
  const folder = join(root, word);
  const mounted = join(folder, "mounted");
  mkdirSync(mounted, { recursive: true });
  const canary = join(folder, "canary.txt");
  for (const path of [canary, join(mounted, "inside.txt")])
    writeFileSync(path, path === canary ? word : "inside", { mode: 0o666 });
  for (const path of [canary, mounted, folder]) chmodSync(path, 0o777);
  symlinkSync(canary, join(mounted, "link.txt"));
  symlinkSync("..", join(mounted, "up"));
  symlinkSync("/", join(mounted, "root"));
  for (const name of ["guest.mjs", "guest.py"]) cpSync(new URL(name, here), join(mounted, name));
  process.env["NIKA_ESCAPE_CANARY"] = word;

  const heard: string[] = [];
  const servers: Server[] = [];
  const listen = async (options: { host: string; port: number } | { path: string }, what: string): Promise<Server> => {
    const server = createServer((socket) => void (heard.push(what), socket.on("error", () => undefined).destroy()));
    await new Promise<void>((done, fail) => server.once("error", fail).listen(options, done));
    servers.push(server);
    return server;
  };
  // Only the loopback is listened on; whoever reaches another address of this machine is told apart by its answer.
  const { port } = (await listen({ host: "127.0.0.1", port: 0 }, "a connection")).address() as AddressInfo;
  await listen({ path: `\0${word}` }, "an abstract socket").catch(() => undefined);
  const datagrams = createSocket("udp4", () => void heard.push("a datagram"));
  await new Promise<void>((done) => datagrams.bind(port, "127.0.0.1", done));
  const outer = Object.values(networkInterfaces()).flatMap((all) => (all ?? []).filter(({ internal }) => !internal));
  return {
    word,
    canary,
    folder,
    mounted,
    port,
    addresses: [...new Set([...outer.map(({ address }) => address), "172.17.0.1"])],
    reached: (): Attempt[] =>
      ["a connection", "an abstract socket", "a datagram"].map((what) => ({
        name: `listener: ${what} from inside`,
        out: heard.includes(what) ? "it came" : undefined,
      })),
    close(): void {
      for (const server of servers) server.close();
      datagrams.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function attemptInside({ sandboxes, runtime, hasPython }: Escape, ground: Ground): Promise<Attempt[]> {
  const { canary, word, port, addresses, mounted } = ground;
  const asked = JSON.stringify({
    canary,
    word,
    port,
    addresses,
    names: ["localhost.localdomain", "metadata.google.internal", "example.com"],
  });
  const limits: Partial<SandboxSpec> = {
    runtime,
    mounts: [{ from: mounted, to: "/app" }],
    tmpBytes: 200 << 20,
    memoryBytes: 512 << 20,
    timeLimitMs: 120_000,
  };
  const all: Attempt[] = [];
  const commands: Partial<SandboxSpec>[] = [{ command: ["node", "/app/guest.mjs", asked] }];
  if (hasPython) commands.push({ language: "python", command: ["python3", "/app/guest.py"] });
  for (const command of commands) {
    const sandbox = await sandboxes.open(specOf("", { ...limits, ...command }), never);
    sandbox.input.end();
    const [lines, errors, end] = await Promise.all([text(sandbox.output), text(sandbox.errors), sandbox.ended]);
    if (end.code !== 0) throw new Error(`the attempts ended early (${end.reason}, ${end.code}): ${errors}`);
    for (const line of lines.trim().split("\n")) {
      const { name, out } = JSON.parse(line) as { name: string; out: string | null };
      const isHarmless = runtime === "gvisor" && ofItsOwnKernel.has(name);
      all.push({ name, out: isHarmless ? undefined : (out ?? undefined) });
    }
  }
  return all;
}

/** What is refused before anything runs. */
async function attemptMounts({ sandboxes, runtime }: Escape, { folder, mounted, word }: Ground): Promise<Attempt[]> {
  const socket = createServer();
  const withSocket = join(folder, "with-socket");
  mkdirSync(withSocket);
  // A path of a socket is short.
  await new Promise<void>((done) => socket.listen(join(withSocket, "s"), done));
  const link = join(folder, "etc");
  symlinkSync("/etc", link);
  const wanted: [string, { from: string; to: string }][] = [
    ["mount: the root of the machine", { from: "/", to: "/app" }],
    ["mount: a link to its configuration", { from: link, to: "/app" }],
    ["mount: up and out of the root", { from: join(mounted, "../../../../etc"), to: "/app" }],
    ["mount: processes", { from: "/proc", to: "/app" }],
    ["mount: the engine's socket", { from: "/var/run/docker.sock", to: "/app" }],
    ["mount: a folder with a socket in it", { from: withSocket, to: "/app" }],
    ["mount: over the programs", { from: mounted, to: "/usr/local/bin" }],
    ["mount: over the kernel's files", { from: mounted, to: "/proc/self" }],
  ];
  const all: Attempt[] = [];
  for (const [name, mount] of wanted)
    all.push({ name, out: await refusedOpening(sandboxes, specOf(`console.log("${word}")`, { runtime, mounts: [mount] })) });
  socket.close();
  return all;
}

async function refusedOpening(sandboxes: Sandboxes, spec: SandboxSpec): Promise<string | undefined> {
  try {
    const sandbox = await sandboxes.open(spec, never);
    await sandbox.stop();
    return "it was opened";
  } catch (error) {
    return isNikaError(error) && ["denied", "invalid", "missing"].includes(error.code) ? undefined : String(error);
  }
}

/** One that takes until it is stopped. Held when it ended for the reason that it should have, and this machine did not notice. */
const greedy = (name: string, code: string, reasons: readonly string[], changes: Partial<SandboxSpec> = {}) => ({
  title: name,
  run: async ({ sandboxes, runtime, root }: Escape): Promise<Attempt> => {
    const before = measured(root);
    const sandbox = await sandboxes.open(specOf(code, { runtime, timeLimitMs: 3_000, ...changes }), never);
    const { reason } = await sandbox.ended;
    const after = measured(root);
    if (!reasons.includes(reason)) return { name, out: `it ended for ${reason}` };
    if (after.rssBytes - before.rssBytes > 200 << 20) return { name, out: "this process grew by more than 200 MiB" };
    if (before.diskFreeBytes - after.diskFreeBytes > 512 << 20) return { name, out: "the disk lost more than 512 MiB" };
    if (after.tasks - before.tasks > 400) return { name, out: `${after.tasks - before.tasks} tasks stayed behind` };
    return { name, out: undefined };
  },
});

function measured(root: string) {
  const { bavail, bsize } = statfsSync(root);
  return {
    rssBytes: process.memoryUsage().rss,
    diskFreeBytes: bavail * bsize,
    tasks: Number(/\/(\d+)/.exec(readFileSync("/proc/loadavg", "utf8"))?.[1]),
  };
}

/** Tried everywhere; the others by the drill. */
const short = new Set(["greed: memory", "greed: fork bomb", "greed: disk", "greed: output that nobody reads"]);
const greedyAttempts = [
  greedy("greed: memory", "const a = []; for (;;) a.push(Buffer.alloc(1 << 20, 1))", ["memory"]),
  greedy("greed: heap", "const a = []; for (;;) a.push({ a: `${Math.random()}` })", ["memory", "time"]),
  greedy(
    "greed: memory in shared pieces",
    "const a = []; for (;;) { const b = new SharedArrayBuffer(1 << 20); new Uint8Array(b).fill(1); a.push(b) }",
    ["memory"],
  ),
  greedy(
    "greed: fork bomb",
    "const { spawn } = require('child_process'); const f = () => { for (let n = 0; n < 9; n++) spawn(process.execPath, ['-e', 'setInterval(() => {}, 99)'], { stdio: 'ignore' }).on('error', () => {}); setTimeout(f, 50) }; f()",
    ["time", "memory", "exit"],
    { memoryBytes: 256 << 20 },
  ),
  greedy(
    "greed: threads",
    "const { Worker } = require('worker_threads'); const f = () => { for (let n = 0; n < 9; n++) new Worker('setInterval(() => {}, 99)', { eval: true }).on('error', () => {}); setTimeout(f, 50) }; f()",
    ["time", "memory", "exit"],
    { memoryBytes: 256 << 20 },
  ),
  greedy(
    "greed: disk",
    "const fs = require('fs'); const b = Buffer.alloc(1 << 20, 1); for (let n = 0; ; n++) { try { fs.appendFileSync('/tmp/' + (n % 5000), b) } catch { if (n > 20000) process.exit() } }",
    ["exit", "time"],
  ),
  greedy(
    "greed: files",
    "const fs = require('fs'); for (let n = 0; n < 200000; n++) { try { fs.writeFileSync('/tmp/' + n, '') } catch { process.exit() } }",
    ["exit", "time"],
  ),
  greedy(
    "greed: output that nobody reads",
    "const b = Buffer.alloc(1 << 20, 1); const f = () => { while (process.stdout.write(b)); process.stdout.once('drain', f) }; f()",
    ["time"],
  ),
  greedy(
    "greed: errors that nobody reads",
    "const b = Buffer.alloc(1 << 20, 1); const f = () => { while (process.stderr.write(b)); process.stderr.once('drain', f) }; f()",
    ["time", "memory"],
  ),
  greedy(
    "greed: processor, deaf to signals",
    "for (const s of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(s, () => {}); for (;;);",
    ["time"],
  ),
  greedy(
    "greed: open files",
    "const fs = require('fs'); try { for (;;) fs.openSync('/dev/null', 'r') } catch { process.exit() }",
    ["exit"],
  ),
  greedy(
    "greed: a process that outlives its parent",
    "require('child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 99)'], { detached: true, stdio: 'ignore' }).unref(); setTimeout(() => process.exit(), 300)",
    ["exit"],
  ),
  greedy(
    "greed: connections through the gate",
    "const net = require('net'); const f = () => { for (let n = 0; n < 50; n++) { const s = net.connect(3128, '127.0.0.1', () => s.write('CONNECT a.example:443 HTTP/1.1\\r\\n\\r\\n')); s.on('error', () => {}); s.on('data', () => s.destroy()) } setTimeout(f, 10) }; f()",
    ["time", "memory"],
    { egress: ["127.0.0.1:9"] },
  ),
  greedy(
    "greed: bytes through the gate that are no requests",
    "const net = require('net'); const b = Buffer.alloc(65536, 7); for (let n = 0; n < 40; n++) { const f = () => { const s = net.connect(3128, '127.0.0.1'); s.on('error', () => {}); s.on('close', () => setTimeout(f, 5)); const w = () => { while (!s.destroyed && s.write(b)); s.once('drain', w) }; w() }; f() }",
    ["time", "memory"],
    { egress: ["127.0.0.1:9"] },
  ),
];
