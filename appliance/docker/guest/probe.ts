/**
 * Runs inside a sandbox and tries what must not work. Nothing of Nika is there, so this file imports only Node. Each way of running it
 * prints one line of JSON; what it prints is believed, because it is ours and runs before anything else does.
 */
import { spawn } from "node:child_process";
import { lookup } from "node:dns/promises";
import {
  appendFileSync,
  closeSync,
  openSync,
  readFileSync,
  readdirSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { connect } from "node:net";
import { networkInterfaces } from "node:os";

type Probe = { readonly name: string; readonly holds: boolean; readonly detail: string };

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error);

/** How an attempt ended: its error's code, or undefined when it worked. */
function attempt(act: () => void): string | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    return codeOf(error);
  }
}

/** The code with which connecting fails; `connected` when it does not. */
function reach(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 1500 });
    const end = (how: string): void => {
      socket.destroy();
      resolve(how);
    };
    socket.once("connect", () => end("connected"));
    socket.once("timeout", () => end("silence"));
    socket.once("error", (error) => end(codeOf(error)));
  });
}

function status(field: string): string | undefined {
  return new RegExp(`^${field}:\\s*(\\S+)`, "m").exec(readFileSync("/proc/self/status", "utf8"))?.[1];
}

function rootfs(): Probe {
  const places = ["/x", "/usr/x", "/etc/passwd", "/nika/probe.ts", "/mnt/x", "/dev/x"];
  const written = places.filter((place) => attempt(() => writeFileSync(place, "x")) === undefined);
  return {
    name: "rootfs",
    holds: written.length === 0,
    detail: written.length === 0 ? "nothing but /tmp can be written" : `written: ${written.join(", ")}`,
  };
}

function user(): Probe {
  const ids = [process.getuid?.(), process.geteuid?.(), process.getgid?.(), ...(process.getgroups?.() ?? [])];
  const became = attempt(() => process.setuid?.(0));
  return {
    name: "user",
    holds: !ids.includes(0) && became !== undefined,
    detail: `user ${ids[0]}; becoming root: ${became ?? "worked"}`,
  };
}

function capabilities(): Probe {
  const sets = ["CapEff", "CapPrm", "CapBnd", "CapInh"].map((name) => [name, status(name)] as const);
  const held = sets.filter(([, value]) => value !== undefined && /[^0]/.test(value));
  return {
    name: "capabilities",
    holds: held.length === 0,
    detail: held.length === 0 ? "none, and none can be had" : held.join(" "),
  };
}

function newPrivileges(): Probe {
  const value = status("NoNewPrivs");
  if (value === undefined)
    return {
      name: "new privileges",
      holds: true,
      detail: "the runtime does not say; nothing inside is setuid, and /tmp is mounted nosuid",
    };
  return { name: "new privileges", holds: value === "1", detail: `NoNewPrivs ${value}` };
}

function seccomp(hasOwnKernel: boolean): Probe {
  const mode = status("Seccomp");
  const detail = hasOwnKernel
    ? "calls are answered by a kernel of its own, which is itself under a filter"
    : `mode ${mode}, our list`;
  return { name: "system calls", holds: hasOwnKernel || mode === "2", detail };
}

async function network(): Promise<Probe> {
  const names = Object.entries(networkInterfaces()).filter(([, all]) => all?.some(({ internal }) => !internal));
  const tries = await Promise.all([reach("1.1.1.1", 80), reach("8.8.8.8", 53), reach("2606:4700:4700::1111", 80)]);
  const isOut = tries.some((how) => !isUnreachable(how));
  return {
    name: "network",
    holds: names.length === 0 && !isOut,
    detail:
      names.length === 0
        ? `only a loopback of its own; outside: ${[...new Set(tries)].join(", ")}`
        : `interfaces: ${names.map(([name]) => name).join(", ")}`,
  };
}

async function names(): Promise<Probe> {
  const how = await lookup("example.com").then(({ address }) => `resolved to ${address}`, codeOf);
  return { name: "names", holds: !how.startsWith("resolved"), detail: how };
}

/** Even a refusal would be an answer of the host. EINVAL: an address of a link that is not there. */
const isUnreachable = (how: string): boolean =>
  ["EINVAL", "ENETUNREACH", "EHOSTUNREACH", "EADDRNOTAVAIL", "EACCES", "EPERM", "EAFNOSUPPORT"].includes(how);

async function host(addresses: readonly string[], port: number): Promise<Probe> {
  const far = await Promise.all(addresses.map(async (address) => ({ address, how: await reach(address, port) })));
  const near = await reach("127.0.0.1", port);
  const reached = [
    ...far.filter(({ how }) => !isUnreachable(how)),
    ...(near === "ECONNREFUSED" ? [] : [{ address: "127.0.0.1", how: near }]),
  ];
  return {
    name: "host",
    holds: reached.length === 0,
    detail:
      reached.length === 0
        ? `none of its ${addresses.length + 1} addresses answers`
        : reached.map(({ address, how }) => `${address}: ${how}`).join(", "),
  };
}

async function metadata(): Promise<Probe> {
  const how = await Promise.all([reach("169.254.169.254", 80), reach("fd00:ec2::254", 80)]);
  return { name: "metadata address", holds: how.every(isUnreachable), detail: how.join(", ") };
}

function engineSocket(): Probe {
  const found = ["/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock"].filter(
    (path) => attempt(() => closeSync(openSync(path, "r"))) !== "ENOENT",
  );
  return { name: "engine", holds: found.length === 0, detail: found.length === 0 ? "its socket is not there" : found.join(", ") };
}

const harmless = new Set(
  "console core fd full fuse mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero net".split(" "),
);

function devices(): Probe {
  const others = readdirSync("/dev").filter((name) => !harmless.has(name));
  const opened = others.filter((name) => attempt(() => closeSync(openSync(`/dev/${name}`, "r"))) === undefined);
  return {
    name: "devices",
    holds: opened.length === 0,
    detail: opened.length === 0 ? "only those without hardware" : opened.join(", "),
  };
}

async function temporary(bytes: number): Promise<Probe[]> {
  const script = "/tmp/run";
  writeFileSync(script, "#!/usr/local/bin/node\n", { mode: 0o755 });
  const ran = await new Promise<string>((resolve) => {
    const child = spawn(script, { stdio: "ignore" });
    child.once("error", (error) => resolve(codeOf(error)));
    child.once("exit", (code) => resolve(`ran and ended with ${code}`));
  });
  unlinkSync(script);
  // Several files: the limit on one file's size must not be taken for that of the whole.
  const full = Array.from({ length: 100 }, (_, n) =>
    attempt(() => appendFileSync(`/tmp/fill${n >> 1}`, Buffer.alloc(1 << 20, 1))),
  );
  const stoppedBy = full.find((how) => how === "ENOSPC");
  const written = readdirSync("/tmp").reduce((sum, name) => sum + statSync(`/tmp/${name}`).size, 0);
  return [
    { name: "programs in /tmp", holds: ran === "EACCES" || ran === "EPERM", detail: ran },
    {
      name: "size of /tmp",
      holds: written <= bytes && stoppedBy !== undefined,
      detail: `${stoppedBy ?? "no end"} after ${written >> 20} MiB of ${bytes >> 20}`,
    },
  ];
}

function openFiles(most: number): Probe {
  const opened: number[] = [];
  const stoppedBy = attempt(() => {
    while (opened.length <= most + 64) opened.push(openSync("/dev/null", "r"));
  });
  for (const file of opened) closeSync(file);
  return {
    name: "open files",
    holds: stoppedBy !== undefined && opened.length <= most,
    detail: `${stoppedBy ?? "no end"} after ${opened.length}`,
  };
}

function environment(allowed: readonly string[]): Probe {
  const given = readFileSync("/proc/self/environ", "utf8")
    .split("\0")
    .filter(Boolean)
    .map((entry) => entry.split("=", 1)[0] ?? "");
  const others = given.filter((name) => !allowed.includes(name));
  return {
    name: "environment",
    holds: others.length === 0,
    detail: others.length === 0 ? "only what was given" : others.join(", "),
  };
}

type Look = {
  readonly hasOwnKernel: boolean;
  readonly hostAddresses: readonly string[];
  readonly hostPort: number;
  readonly tmpBytes: number;
  readonly openFilesMax: number;
  readonly variables: readonly string[];
};

async function look(asked: Look): Promise<Probe[]> {
  return [
    user(),
    capabilities(),
    newPrivileges(),
    seccomp(asked.hasOwnKernel),
    rootfs(),
    ...(await temporary(asked.tmpBytes)),
    openFiles(asked.openFilesMax),
    devices(),
    engineSocket(),
    environment(asked.variables),
    await network(),
    await names(),
    await host(asked.hostAddresses, asked.hostPort),
    await metadata(),
  ];
}

/** Takes memory until it is stopped, well beyond the limit. */
function takeMemory(bytes: number): { taken: number } {
  const held: Buffer[] = [];
  for (let taken = 0; taken < bytes; taken += 1 << 20) held.push(Buffer.alloc(1 << 20, 1));
  return { taken: held.length << 20 };
}

/** Spins, and adds up the pauses that only a quota makes: the scheduler's own are a few milliseconds. */
function spin(ms: number, pauseMs: number): { spunMs: number; pausedMs: number } {
  const start = performance.now();
  let pausedMs = 0;
  for (let last = start, now = start; now - start < ms; last = now) {
    now = performance.now();
    if (now - last >= pauseMs) pausedMs += now - last;
  }
  return { spunMs: Math.round(performance.now() - start), pausedMs: Math.round(pausedMs) };
}

/** Starts programs side by side and counts those that came up. */
async function startMany(count: number): Promise<{ started: number; of: number; stoppedBy: string }> {
  const ends = await Promise.all(
    Array.from({ length: count }, () => {
      const child = spawn(process.execPath, ["-e", "process.stdout.write('up'); setTimeout(() => {}, 3000)"], {
        stdio: ["ignore", "pipe", "ignore"],
      });
      return new Promise<string>((resolve) => {
        child.once("error", (error) => resolve(codeOf(error)));
        child.once("exit", (code, signal) => resolve(`ended with ${signal ?? code}`));
        child.stdout.once("data", () => resolve("up"));
        // One that cannot have its threads may wait for them for ever.
        setTimeout(resolve, 5000, "never came up");
      });
    }),
  );
  return {
    started: ends.filter((end) => end === "up").length,
    of: count,
    stoppedBy: ends.find((end) => end !== "up") ?? "nothing",
  };
}

const [way = "", words = "{}"] = process.argv.slice(2);
const asked = JSON.parse(words) as Look & {
  readonly bytes: number;
  readonly ms: number;
  readonly pauseMs: number;
  readonly count: number;
};
const result =
  way === "look"
    ? await look(asked)
    : way === "memory"
      ? takeMemory(asked.bytes)
      : way === "cpu"
        ? spin(asked.ms, asked.pauseMs)
        : await startMany(asked.count);
writeSync(1, `${JSON.stringify(result)}\n`);
process.exit(0);
