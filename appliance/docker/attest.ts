/**
 * What each runtime enforces, found out by trying from inside a real container: runtimes accept limits that they then ignore. A verdict
 * is kept until the engine, the runtime or our own way of starting changes.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { dirname } from "node:path";
import { json, text } from "node:stream/consumers";
import type Docker from "dockerode";
import { NikaError, toNikaError } from "../../convex/model/error.ts";
import type { Attestation, Sandbox, SandboxSpec } from "../../functions/ports/sandboxes.ts";
import { isUnreachable } from "./errors.ts";
import { openFilesMax, toCreateOptions, type Runtime } from "./limits.ts";

export type Found = { readonly runtime: Runtime; readonly runtimeName: string };

export type Attestations = {
  /** The runtimes that the engine has. */
  found(): Promise<readonly Found[]>;
  /** The verdict on one, from the cache or by probing now. */
  of(found: Found): Promise<Attestation>;
};

type Probe = Attestation["probes"][number];

export type AttestOptions = {
  readonly docker: Docker;
  /** Where verdicts are kept. */
  readonly file: string;
  /** The image that probes run in; its name says what is in it. */
  readonly image: () => Promise<string>;
  /** Opens without asking for a verdict. */
  readonly open: (spec: SandboxSpec, found: Found, signal: AbortSignal) => Promise<Sandbox>;
};

/** The engine's names for runtimes, in the order in which they are looked for. */
const names: Readonly<Record<Runtime, readonly string[]>> = {
  gvisor: ["runsc", "gvisor"],
  kata: ["kata", "kata-runtime", "kata-qemu", "kata-clh", "kata-fc", "io.containerd.kata.v2"],
  runc: ["runc", "crun"],
};
const probeLimitMs = 90_000;
/** What did not hold on a busy machine may hold on a quiet one; looking takes some seconds of the machine each time. */
const lookedAtAgainMs = 60_000;
const tmpBytes = 4 << 20;
/** With room: the probe is TypeScript, and taking its types out takes Node some 90 MiB for a moment. */
const memoryBytes = 160 << 20;

export function openAttestations({ docker, file, image, open }: AttestOptions): Attestations {
  const verdicts = new Map<string, Promise<Attestation>>();

  async function found(): Promise<Found[]> {
    const { Runtimes } = (await docker.info()) as { Runtimes?: Record<string, unknown> };
    const known = Object.keys(Runtimes ?? {});
    return (["gvisor", "kata", "runc"] as const).flatMap((runtime) => {
      const runtimeName = names[runtime].find((name) => known.includes(name));
      return runtimeName === undefined ? [] : [{ runtime, runtimeName }];
    });
  }

  /** Changes when anything does that a verdict depends on. */
  async function keyOf({ runtime, runtimeName }: Found): Promise<string> {
    const [version, info, name] = await Promise.all([docker.version(), docker.info(), image()]);
    const { Runtimes, CgroupVersion, CgroupDriver, SecurityOptions } = info as Record<string, unknown> & {
      Runtimes: Record<string, { path?: string }>;
    };
    const program = await stat(Runtimes[runtimeName]?.path ?? "").catch(() => undefined);
    const engine = [
      version.Version,
      version.KernelVersion,
      (version as { Components?: unknown }).Components,
      CgroupVersion,
      CgroupDriver,
      SecurityOptions,
    ];
    const way = toCreateOptions({
      spec: specOf("probe", []),
      image: name,
      mounts: [],
      runtime,
      runtimeName,
      user: 0,
      labels: {},
    });
    const all = [engine, Runtimes[runtimeName], program?.size, program?.mtimeMs, way];
    return createHash("sha256").update(JSON.stringify(all)).digest("hex");
  }

  async function decide(found: Found): Promise<Attestation> {
    const key = await keyOf(found);
    const kept = await readKept(file);
    const known = kept[key];
    if (known) return known;
    const probes = await probe(found, open).catch((error: unknown): Probe[] => {
      if (isUnreachable(error)) throw error;
      return [{ name: "start", holds: false, detail: toNikaError(error).message }];
    });
    const verdict = { runtime: found.runtime, at: Date.now(), isSufficient: probes.every(({ holds }) => holds), probes };
    // A limit that did not hold may have been a bad moment: after a while it is looked at again.
    if (verdict.isSufficient) await keep(file, key, verdict);
    return verdict;
  }

  return {
    found,
    async of(found) {
      const key = await keyOf(found);
      let verdict = verdicts.get(key);
      if (!verdict) {
        verdict = decide(found);
        verdicts.set(key, verdict);
        const forget = (): void => void verdicts.delete(key);
        verdict.then(({ isSufficient }) => {
          if (!isSufficient) setTimeout(forget, lookedAtAgainMs).unref();
        }, forget);
      }
      return verdict;
    },
  };
}

/** Verdicts on this machine by their keys. One that cannot be read is none. */
async function readKept(file: string): Promise<Record<string, Attestation>> {
  try {
    return JSON.parse(await readFile(file, "utf8")) as Record<string, Attestation>;
  } catch {
    return {};
  }
}

/** One verdict a runtime: those on what the machine was before are of no use. */
async function keep(file: string, key: string, verdict: Attestation): Promise<void> {
  const others = Object.entries(await readKept(file)).filter(([, one]) => one.runtime !== verdict.runtime);
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(`${file}.new`, JSON.stringify(Object.fromEntries([...others, [key, verdict]]), undefined, 2), { mode: 0o600 });
  await rename(`${file}.new`, file);
}

const specOf = (name: string, command: readonly string[], over: Partial<SandboxSpec> = {}): SandboxSpec => ({
  name,
  language: "node",
  runtime: "auto",
  command,
  environment: {},
  mounts: [],
  egress: [],
  memoryBytes,
  cpus: 1,
  processesMax: 32,
  tmpBytes,
  timeLimitMs: probeLimitMs,
  ...over,
});

async function probe(found: Found, open: AttestOptions["open"]): Promise<Probe[]> {
  const start = (way: string, asked: object, over: Partial<SandboxSpec> = {}): Promise<Sandbox> => {
    const name = `nika-probe-${found.runtime}-${way}-${process.pid}-${Date.now()}`;
    const command = ["node", "/nika/probe.ts", way, JSON.stringify(asked)];
    return open(specOf(name, command, over), found, AbortSignal.timeout(probeLimitMs));
  };
  return [
    ...(await probeInside(start, found)),
    await probeMemory(start),
    await probeCpu(start),
    await probeProcesses(start, found),
    await probeTime(start),
  ];
}

type Start = (way: string, asked: object, over?: Partial<SandboxSpec>) => Promise<Sandbox>;

/** What one program can try after another. */
async function probeInside(start: Start, { runtime }: Found): Promise<Probe[]> {
  const listener = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  try {
    const hostAddresses = Object.values(networkInterfaces()).flatMap((all) =>
      (all ?? []).filter(({ internal }) => !internal).map(({ address }) => address),
    );
    const sandbox = await start("look", {
      hasOwnKernel: runtime !== "runc",
      hostAddresses,
      hostPort: (listener.address() as AddressInfo).port,
      tmpBytes,
      openFilesMax,
      variables: ["PATH", "HOME", "TMPDIR", "LANG", "HOSTNAME"],
    });
    sandbox.input.end();
    return await answerOf<Probe[]>(sandbox);
  } finally {
    listener.close();
  }
}

async function probeMemory(start: Start): Promise<Probe> {
  const sandbox = await start("memory", { bytes: memoryBytes * 4 });
  const [written, { reason, code }] = await Promise.all([text(sandbox.output), sandbox.ended]);
  const holds = written === "" && reason === "memory";
  const detail = holds
    ? "killed beyond the limit, and the engine said why"
    : `asked for four times the limit: ${reason}, ${code} ${written}`;
  return { name: "memory", holds, detail };
}

/** Where others leave a program less than its limit anyway, it is not held back by that: then it is asked again. */
const cpuLooksMax = 3;

async function probeCpu(start: Start): Promise<Probe> {
  let told = "";
  for (let look = 0; look < cpuLooksMax; look += 1) {
    // A tenth of a processor is a tenth of each 100 ms, so that pauses last 90.
    const sandbox = await start("cpu", { ms: 2_000, pauseMs: 45 }, { cpus: 0.1 });
    const { spunMs, pausedMs } = await answerOf<{ spunMs: number; pausedMs: number }>(sandbox);
    told = `a tenth of one: held back for ${pausedMs} of ${spunMs} ms`;
    if (pausedMs > spunMs / 2) return { name: "processor", holds: true, detail: told };
  }
  return { name: "processor", holds: false, detail: told };
}

async function probeProcesses(start: Start, { runtime }: Found): Promise<Probe> {
  const sandbox = await start("processes", { count: 8 }, { memoryBytes: 1 << 30 });
  const { started, of, stoppedBy } = await answerOf<{ started: number; of: number; stoppedBy: string }>(sandbox);
  const by = runtime === "runc" ? "" : " (by the limit on a user's processes)";
  return {
    name: "processes",
    holds: started < of,
    detail: `${started} of ${of} programs beyond the limit came up: ${stoppedBy}${by}`,
  };
}

async function probeTime(start: Start): Promise<Probe> {
  const sandbox = await start("cpu", { ms: probeLimitMs, pauseMs: 45 }, { timeLimitMs: 300 });
  const { reason } = await sandbox.ended;
  return { name: "time", holds: reason === "time", detail: `past its limit it ended for: ${reason}` };
}

async function answerOf<T>(sandbox: Sandbox): Promise<T> {
  const [answer, words, end] = await Promise.all([
    json(sandbox.output).catch(() => undefined),
    text(sandbox.errors),
    sandbox.ended,
  ]);
  if (answer === undefined)
    throw new NikaError(
      "unavailable",
      `A probe of the sandbox ended without an answer (${end.reason}, ${end.code}): ${words.slice(0, 300)}`,
    );
  return answer as T;
}
