/**
 * What runs on a machine that works for Nika. One file and Node, nothing else: it is shipped without its types (see ../ship.ts) to machines of any
 * make. It is two processes. The outer one guards: it holds the command as its child, keeps the time by a clock that nobody sets, and ends the
 * machine when its time is up or nobody answers. The inner one dials out; when it is lost it is started anew, and the command never notices.
 */
import { fork, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  openSync,
  closeSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
  chmodSync,
  readdirSync,
} from "node:fs";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { availableParallelism, freemem, release, totalmem, type as systemType } from "node:os";
import { dirname, join, resolve, sep } from "node:path";
import { pipeline } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { Beat, GpuFact, MachineFacts, Order, Shipped, WorkState } from "../../../../convex/model/agent.ts";

/** What it wakes up with; all of it comes by the environment, since every kind of machine can give one that. */
type Setting = {
  /** "http://127.0.0.1:7001", or "unix:/path" of a socket. */
  readonly door: string;
  /** Single use. */
  readonly token: string;
  /** Everything it writes is in here. */
  readonly folder: string;
  /** Upper bound of its life, whatever anybody answers. */
  readonly lifeMs: number;
  readonly enrolMs: number;
  readonly idleMs: number;
  readonly resultsMs: number;
  readonly beatMs: number;
  /** How the machine is ended, in turn, until it is over. */
  readonly end: readonly EndStep[];
  /** Whose notices of taking the machine away are asked for. */
  readonly notice: "aws" | "google" | "azure" | undefined;
  readonly noticeUrl: string | undefined;
  /** Before the program itself: the loader of a Node that came along. */
  readonly node: readonly string[];
  /** A program that says what `nvidia-smi` would, when a scenario makes GPUs up. */
  readonly simulatedGpus: string | undefined;
  /** In a scenario: how long it takes to start, and when it is taken away, as a vendor takes spot machines. */
  readonly bootMs: number;
  readonly taken: { readonly afterMs: number; readonly noticeMs: number } | undefined;
};

/** `request`: of the vendor, with `{{name}}` filled in from an earlier answer. `exit`: the container ends with us. `shutdown`: the system. */
export type EndStep =
  | {
      readonly type: "request";
      readonly method: string;
      readonly url: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
      readonly keep?: { readonly name: string; readonly field: string };
    }
  | { readonly type: "exit" }
  | { readonly type: "shutdown" };

/** What the door gives for the token. Spans in ms. */
export type Enrolled = {
  readonly session: string;
  /** Hex; replies are signed with it. */
  readonly key: string;
  readonly epoch: number;
  readonly lifeMs: number;
  /** Others than it woke up with. */
  readonly spans?: { readonly idleMs: number; readonly resultsMs: number };
  readonly work?: Work;
};

export type Work = {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly files: readonly Shipped[];
  /** Newest first. */
  readonly checkpoints: readonly { readonly number: number; readonly files: readonly Shipped[] }[];
  /** Between the word to end and the end. */
  readonly graceMs: number;
  /** The command's own limit, which ends earlier than the machine. */
  readonly runMs: number;
};

export type Reply = { readonly epoch: number; readonly seq: number; readonly lifeMs: number; readonly orders: readonly Order[] };

type ToGuard =
  | {
      readonly type: "enrolled";
      readonly key: string;
      readonly epoch: number;
      readonly lifeMs: number;
      readonly spans?: Enrolled["spans"] & {};
    }
  | { readonly type: "reply"; readonly text: string; readonly signature: string }
  | { readonly type: "work"; readonly work: WorkState }
  | {
      readonly type: "run";
      readonly command: readonly string[];
      readonly environment: Record<string, string>;
      readonly runMs: number;
    }
  | { readonly type: "term"; readonly graceMs: number }
  | { readonly type: "over"; readonly why: string };
type FromGuard =
  | { readonly type: "started"; readonly pid: number }
  | { readonly type: "exited"; readonly code: number }
  | { readonly type: "taken"; readonly inMs: number };

const uploadBytes = 4 << 20;
const logBytes = 64 << 10;
const lookMs = 1_000;
const agentEndsMs = 3_000;
const atOnce = 4;
const brokenMax = 3;
const logCap = 16 << 20;

const span = (value: string | undefined, usual: number): number => {
  const number = Number(value ?? "");
  return Number.isFinite(number) && number > 0 ? number : usual;
};

function settingOf(environment: NodeJS.ProcessEnv): Setting {
  const { NIKA_GPU_DOOR: door, NIKA_GPU_TOKEN: token, NIKA_GPU_FOLDER: folder } = environment;
  if (!folder) throw new Error("NIKA_GPU_FOLDER must be set.");
  const notice = environment["NIKA_GPU_NOTICE"];
  return {
    // Who was not told where to dial waits for the end that is due to whoever nobody lets in.
    door: door ?? "",
    token: token ?? "",
    folder: resolve(folder),
    lifeMs: span(environment["NIKA_GPU_LIFE_MS"], 24 * 3_600_000),
    enrolMs: span(environment["NIKA_GPU_ENROL_MS"], 15 * 60_000),
    idleMs: span(environment["NIKA_GPU_IDLE_MS"], 5 * 60_000),
    resultsMs: span(environment["NIKA_GPU_RESULTS_MS"], 30 * 60_000),
    beatMs: span(environment["NIKA_GPU_BEAT_MS"], 10_000),
    end: JSON.parse(environment["NIKA_GPU_END"] ?? '[{"type":"exit"}]') as EndStep[],
    notice: notice === "aws" || notice === "google" || notice === "azure" ? notice : undefined,
    noticeUrl: environment["NIKA_GPU_NOTICE_URL"],
    node: environment["NIKA_GPU_NODE"] ? (JSON.parse(environment["NIKA_GPU_NODE"]) as string[]) : [process.execPath],
    simulatedGpus: environment["NIKA_GPU_SIMULATED"],
    bootMs: span(environment["NIKA_GPU_BOOT_MS"], 0),
    taken: environment["NIKA_GPU_TAKEN"] ? (JSON.parse(environment["NIKA_GPU_TAKEN"]) as Setting["taken"]) : undefined,
  };
}

const self = process.argv[1] ?? "";
/** Monotonic: a clock that is set does not move it. */
const now = (): number => performance.now();

function note(folder: string, line: string): void {
  try {
    const file = join(folder, "agent.log");
    if (existsSync(file) && statSync(file).size > 1 << 20) renameSync(file, `${file}.old`);
    writeFileSync(file, `${new Date().toISOString()} ${line}\n`, { flag: "a" });
  } catch {
    // A full disk is told elsewhere.
  }
}

// ---------------------------------------------------------------- the guard

/** Ends the machine; does not return while it lives. */
async function endMachine({ end, folder }: Setting, why: string): Promise<never> {
  note(folder, `ends the machine: ${why}`);
  for (let waitMs = 1_000; ; waitMs = Math.min(waitMs * 2, 30_000)) {
    const kept: Record<string, string> = {};
    for (const step of end) {
      if (step.type === "exit") process.exit(0);
      if (step.type === "shutdown") {
        for (const [program = "", ...args] of [
          ["systemctl", "poweroff", "--no-wall"],
          ["shutdown", "-h", "now"],
          ["poweroff", "-f"],
        ])
          if (spawnSync(program, args, { timeout: 20_000 }).status === 0) break;
        continue;
      }
      const fill = (text: string): string => text.replace(/\{\{(\w+)\}\}/g, (_, name: string) => kept[name] ?? "");
      try {
        const { status, body } = await call(fill(step.url), {
          method: step.method,
          headers: Object.fromEntries(Object.entries(step.headers ?? {}).map(([key, value]) => [key, fill(value)])),
          ...(step.body !== undefined && { body: Buffer.from(fill(step.body)) }),
          timeoutMs: 20_000,
        });
        note(folder, `asked the vendor to end it: ${status}`);
        if (step.keep) {
          const text = body.toString("utf8");
          const { name, field } = step.keep;
          kept[name] = field === "" ? text : ((JSON.parse(text) as Record<string, string>)[field] ?? "");
        }
      } catch (error) {
        note(folder, `asking the vendor to end it failed: ${String(error)}`);
      }
    }
    await delay(waitMs);
  }
}

/** The outer process. */
function guard(setting: Setting): void {
  const { folder } = setting;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const startedAt = now();
  let hardAt = startedAt + setting.lifeMs;
  let key: string | undefined;
  let epoch = 0;
  let spans: NonNullable<Enrolled["spans"]> = setting;
  let seq = 0;
  let heardAt = startedAt;
  let work: WorkState = "idle";
  let payload: ChildProcess | undefined;
  let agent: ChildProcess | undefined;
  let exitCode: number | undefined;
  let runUntil = Number.POSITIVE_INFINITY;
  let isOver = false;
  let losses = 0;

  const killPayload = (signal: NodeJS.Signals): void => {
    if (payload?.pid === undefined || exitCode !== undefined) return;
    try {
      process.kill(-payload.pid, signal);
    } catch {
      // It is gone.
    }
  };
  const over = (why: string): void => {
    if (isOver) return;
    isOver = true;
    killPayload("SIGKILL");
    agent?.kill("SIGKILL");
    void endMachine(setting, why);
  };
  const tell = (message: FromGuard): void => {
    if (agent?.connected === true) agent.send(message, () => undefined);
  };
  const run = ({ command, environment, runMs }: Extract<ToGuard, { type: "run" }>): void => {
    // Started anew, the inner process asks again.
    if (payload) {
      if (exitCode !== undefined) tell({ type: "exited", code: exitCode });
      else if (payload.pid !== undefined) tell({ type: "started", pid: payload.pid });
      return;
    }
    const [program = "", ...args] = command;
    runUntil = now() + runMs;
    // Nothing, for so many seconds: runs on any machine, whatever it has.
    if (program === ":") {
      setTimeout(() => tell({ type: "exited", code: (exitCode = 0) }), Number(args[0] ?? 0) * 1_000);
      return;
    }
    const out = openSync(join(folder, "log"), "a");
    payload = spawn(program, args, {
      cwd: join(folder, "work"),
      env: { ...payloadEnvironment(process.env), ...environment },
      stdio: ["ignore", out, out],
      detached: true,
    });
    closeSync(out);
    if (payload.pid !== undefined) tell({ type: "started", pid: payload.pid });
    const ended = (code: number): void => {
      if (exitCode !== undefined) return;
      // What it left behind in its group goes with it.
      killPayload("SIGKILL");
      exitCode = code;
      tell({ type: "exited", code });
    };
    payload.once("error", (error) => {
      const isMissing = "code" in error && error.code === "ENOENT";
      const says = isMissing ? `there is no such program on this machine, or not in its image` : error.message;
      writeFileSync(join(folder, "log"), `${program}: ${says}\n`, { flag: "a" });
      ended(127);
    });
    payload.once("exit", (code, signal) => ended(code ?? 128 + (signals[signal ?? "SIGKILL"] ?? 9)));
  };
  const term = (graceMs: number): void => {
    killPayload("SIGTERM");
    setTimeout(() => killPayload("SIGKILL"), graceMs).unref();
  };
  const heed = (message: ToGuard): void => {
    if (message.type === "enrolled") {
      ({ key, epoch } = message);
      spans = message.spans ?? spans;
      heardAt = now();
      hardAt = Math.min(startedAt + setting.lifeMs, now() + message.lifeMs);
    } else if (message.type === "reply") {
      if (key === undefined || !isSigned(message.text, message.signature, key)) return;
      const reply = JSON.parse(message.text) as Reply;
      if (reply.epoch !== epoch || reply.seq <= seq) return;
      seq = reply.seq;
      heardAt = now();
      // Longer is believed as well as shorter, up to what the machine was made for.
      hardAt = Math.min(startedAt + setting.lifeMs, now() + reply.lifeMs);
      if (reply.orders.includes("end")) over("told to");
    } else if (message.type === "work") work = message.work;
    else if (message.type === "run") run(message);
    else if (message.type === "term") term(message.graceMs);
    else over(message.why);
  };
  const startAgent = (): void => {
    const [program = process.execPath, ...before] = setting.node;
    // A Node that came along is started by its loader, which must stand before every program.
    agent = fork(self, ["work"], { execPath: program, execArgv: before, stdio: ["ignore", "ignore", "pipe", "ipc"] });
    agent.stderr?.on("data", (text: Buffer) => note(folder, text.toString("utf8").trim()));
    agent.on("message", (message) => heed(message as ToGuard));
    agent.once("error", () => undefined);
    agent.once("exit", (code, signal) => {
      if (isOver) return;
      losses++;
      note(folder, `the inner process was lost (${signal ?? code ?? ""})`);
      setTimeout(startAgent, Math.min(30_000, 500 * 2 ** Math.min(losses, 6))).unref();
    });
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const)
    process.on(signal, () => {
      if (work === "idle" || work === "done" || work === "failed") return over("the machine is being ended");
      tell({ type: "taken", inMs: 20_000 });
      setTimeout(() => over("the machine is being ended"), 25_000).unref();
    });
  setInterval(
    () => {
      const at = now();
      if (at >= hardAt) over("its time is up");
      else if (key === undefined && at - startedAt > setting.enrolMs) over("nobody let it in");
      else if (key !== undefined && work === "uploading" && at - heardAt > spans.resultsMs) over("nobody took its results");
      else if (
        key !== undefined &&
        work !== "running" &&
        work !== "fetching" &&
        work !== "uploading" &&
        at - heardAt > spans.idleMs
      )
        over("nobody answers and there is nothing to do");
      if (at >= runUntil && exitCode === undefined) {
        runUntil = Number.POSITIVE_INFINITY;
        writeFileSync(join(folder, "log"), "Nika: the time for this work is up.\n", { flag: "a" });
        term(10_000);
      }
    },
    Math.min(lookMs, setting.idleMs / 4),
  );
  /** All of it at once, and nobody is told any more: the vendor's plug. */
  const vanish = (): void => {
    writeFileSync(join(folder, "taken"), "");
    isOver = true;
    killPayload("SIGKILL");
    agent?.kill("SIGKILL");
    process.exit(137);
  };
  if (setting.taken) {
    const { afterMs, noticeMs } = setting.taken;
    const tellMs = setting.bootMs + afterMs;
    if (noticeMs > 0) setTimeout(() => tell({ type: "taken", inMs: noticeMs }), tellMs);
    setTimeout(vanish, tellMs + noticeMs);
  }
  setTimeout(startAgent, setting.bootMs);
}

const signals: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGTERM: 15,
};

/** The command sees nothing of how the agent is let in. */
function payloadEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) => !name.startsWith("NIKA_GPU_") && !/^RUNPOD_API_KEY$|^NODE_CHANNEL/.test(name)),
  );
}

function isSigned(text: string, signature: string, key: string): boolean {
  const wanted = createHmac("sha256", Buffer.from(key, "hex")).update(text).digest();
  const shown = Buffer.from(signature, "hex");
  return wanted.length === shown.length && timingSafeEqual(wanted, shown);
}

// ---------------------------------------------------------------- the inner process

type Answer = { readonly status: number; readonly body: Buffer; readonly signature: string | undefined };
type CallOptions = {
  readonly method: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  readonly timeoutMs?: number;
  /** Where the answer goes instead of memory. */
  readonly into?: string;
};

/** One request, to an address or a socket. */
function call(url: string, { method, headers = {}, body, timeoutMs = 30_000, into }: CallOptions): Promise<Answer> {
  return new Promise((done, failed) => {
    const [, socketPath, path] = /^unix:(.+?\.sock)(\/nika\/.*)$/.exec(url) ?? [];
    const isSecure = url.startsWith("https:");
    const options = {
      method,
      headers: { ...headers, ...(body && { "content-length": String(body.length) }) },
      timeout: timeoutMs,
    };
    const sent =
      socketPath === undefined || path === undefined
        ? (isSecure ? httpsRequest : httpRequest)(url, options)
        : httpRequest({ ...options, socketPath, path });
    sent.once("error", failed);
    sent.once("timeout", () => sent.destroy(new Error("no answer in time")));
    sent.once("response", (response) => {
      const finish = (bytes: Buffer): void => {
        const signature = response.headers["x-nika-signature"];
        done({ status: response.statusCode ?? 0, body: bytes, signature: typeof signature === "string" ? signature : undefined });
      };
      if (into !== undefined && response.statusCode === 200)
        return void pipeline(response, createWriteStream(into)).then(() => finish(Buffer.alloc(0)), failed);
      const pieces: Buffer[] = [];
      response.on("data", (piece: Buffer) => pieces.push(piece));
      response.once("error", failed);
      response.once("end", () => finish(Buffer.concat(pieces)));
    });
    sent.end(body);
  });
}

/** Refused for good: nothing is gained by asking again. */
class Refused extends Error {}

async function work(setting: Setting): Promise<void> {
  const { folder } = setting;
  const say = (message: ToGuard): void => void process.send?.(message);
  const door = `${setting.door}/nika/gpu/agent`;
  let enrolled: Enrolled | undefined;
  let state: WorkState = "idle";
  let seq = Date.now();
  let exitCode: number | undefined;
  let problem: string | undefined;
  let checkpoint = 0;
  let takenInMs: number | undefined;
  let isStopping = false;
  let payloadPid: number | undefined;
  const broken = new Map<string, number>();
  const wake = { now: (): void => undefined };
  const exited = Promise.withResolvers<number>();

  const ask = async (path: string, options: Partial<CallOptions> = {}): Promise<Answer> => {
    const answer = await call(`${door}${path}`, {
      method: "POST",
      ...options,
      headers: { ...(enrolled && { authorization: `Bearer ${enrolled.session}` }), ...options.headers },
    });
    if (answer.status === 401 || answer.status === 410) throw new Refused(answer.body.toString("utf8").slice(0, 300));
    return answer;
  };
  const json = async <T>(path: string, body: object): Promise<T> => {
    const answer = await ask(path, { body: Buffer.from(JSON.stringify(body)), headers: { "content-type": "application/json" } });
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.body.toString("utf8").slice(0, 300)}`);
    return JSON.parse(answer.body.toString("utf8")) as T;
  };
  /** Until it works; the guard knows when it is enough. */
  const insist = async <T>(what: () => Promise<T>): Promise<T> => {
    for (let waitMs = 500; ; waitMs = Math.min(waitMs * 2, 10_000)) {
      try {
        return await what();
      } catch (error) {
        if (error instanceof Refused) throw error;
        note(folder, String(error));
        await delay(waitMs);
      }
    }
  };
  const turn = (next: WorkState): void => {
    state = next;
    say({ type: "work", work: next });
    wake.now();
  };

  process.on("message", (message: FromGuard) => {
    if (message.type === "exited") exited.resolve(message.code);
    else if (message.type === "started") payloadPid = message.pid;
    else stop(message.inMs, true);
  });
  // The guard was killed: when it ends by itself it ends this process first. What it held goes, and then the machine.
  process.once("disconnect", () => {
    try {
      if (payloadPid !== undefined) process.kill(-payloadPid, "SIGKILL");
    } catch {
      // It is gone.
    }
    void endMachine(setting, "its guard was lost");
  });

  /** The command is told to save and end. */
  const stop = (inMs: number, isTaken: boolean): void => {
    if (isTaken) takenInMs = inMs;
    wake.now();
    if (isStopping || state !== "running") return;
    isStopping = true;
    say({ type: "term", graceMs: Math.max(1_000, inMs - agentEndsMs) });
  };

  enrolled = await enrol();
  say({
    type: "enrolled",
    key: enrolled.key,
    epoch: enrolled.epoch,
    lifeMs: enrolled.lifeMs,
    ...(enrolled.spans && { spans: enrolled.spans }),
  });
  void beats();
  if (setting.notice !== undefined) void notices(setting, (inMs) => stop(inMs, true));
  const { work: given } = enrolled;
  if (given) await carryOut(given);

  async function enrol(): Promise<Enrolled> {
    const kept = join(folder, "session.json");
    if (existsSync(kept)) return JSON.parse(readFileSync(kept, "utf8")) as Enrolled;
    const nonceFile = join(folder, "nonce");
    if (!existsSync(nonceFile)) writeFileSync(nonceFile, randomBytes(16).toString("hex"), { mode: 0o600 });
    const nonce = readFileSync(nonceFile, "utf8");
    const facts = factsOf(setting);
    const told = await insist(() => json<Enrolled>("/enrol", { token: setting.token, nonce, facts }));
    writeFileSync(`${kept}.tmp`, JSON.stringify(told), { mode: 0o600 });
    renameSync(`${kept}.tmp`, kept);
    return told;
  }

  async function beats(): Promise<never> {
    for (;;) {
      const { promise: woken, resolve: wakeUp } = Promise.withResolvers<void>();
      wake.now = wakeUp;
      await beat().catch((error: unknown) => {
        if (error instanceof Refused) say({ type: "over", why: `sent away: ${error.message}` });
        else note(folder, `no answer: ${String(error)}`);
      });
      const timer = setTimeout(wakeUp, setting.beatMs);
      await woken;
      clearTimeout(timer);
    }
  }

  async function beat(): Promise<void> {
    seq = Math.max(seq + 1, Date.now());
    const body: Beat = {
      epoch: enrolled?.epoch ?? 0,
      seq,
      work: state,
      ...(exitCode !== undefined && { exitCode }),
      ...(problem !== undefined && { problem }),
      logBytes: sizeOf(join(folder, "log")),
      ...(checkpoint > 0 && { checkpoint }),
      ...(takenInMs !== undefined && { takenInMs }),
      gpus: gpuUse(setting),
      diskFreeMb: diskFreeMb(folder),
    };
    const answer = await ask("/beat", {
      body: Buffer.from(JSON.stringify(body)),
      headers: { "content-type": "application/json" },
      timeoutMs: setting.beatMs,
    });
    const text = answer.body.toString("utf8");
    if (answer.status !== 200 || answer.signature === undefined) throw new Error(`beat: ${answer.status} ${text.slice(0, 200)}`);
    if (enrolled === undefined || !isSigned(text, answer.signature, enrolled.key))
      throw new Error("beat: not signed by who let us in");
    say({ type: "reply", text, signature: answer.signature });
    const reply = JSON.parse(text) as Reply;
    if (reply.orders.includes("stop")) stop(given?.graceMs ?? 30_000, false);
  }

  async function carryOut(job: Work): Promise<void> {
    const places = { work: join(folder, "work"), out: join(folder, "out"), checkpoints: join(folder, "checkpoints") };
    for (const place of Object.values(places)) mkdirSync(place, { recursive: true });
    let sent = 0;
    /** Sends what was written since; true when all of it has gone. */
    const sendLog = async (): Promise<boolean> => {
      const file = join(folder, "log");
      // The rest stays on the machine, and goes with it.
      const size = Math.min(sizeOf(file), logCap);
      if (sent >= size) return true;
      const piece = Buffer.alloc(Math.min(logBytes, size - sent));
      const handle = openSync(file, "r");
      try {
        readSync(handle, piece, 0, piece.length, sent);
      } finally {
        closeSync(handle);
      }
      const answer = await ask(`/log?offset=${sent}`, { body: piece });
      // 409: it has more or less than we thought, and says how much.
      if (answer.status !== 200 && answer.status !== 409) throw new Error(`log: ${answer.status}`);
      sent = (JSON.parse(answer.body.toString("utf8")) as { next: number }).next;
      return sent >= size;
    };
    const follow = async (until: AbortSignal): Promise<void> => {
      while (!until.aborted) {
        await sendLog().catch((error: unknown) => note(folder, String(error)));
        await sendCheckpoints().catch((error: unknown) => note(folder, String(error)));
        await delay(Math.min(lookMs, setting.beatMs), undefined, { signal: until }).catch(() => undefined);
      }
    };
    const seen = new Map<string, string>();
    let number = job.checkpoints[0]?.number ?? 0;
    /** A checkpoint is what appears in its folder under its final name. */
    const sendCheckpoints = async (): Promise<void> => {
      for (const name of readdirSync(places.checkpoints)
        .filter((one) => !one.startsWith(".") && !/\.(?:tmp|part)$/.test(one))
        .toSorted()) {
        const mark = String(statSync(join(places.checkpoints, name)).mtimeMs);
        if (seen.get(name) === mark) continue;
        const files = await shippedOf(places.checkpoints, name);
        if (files.length === 0) continue;
        for (const file of files) await upload(join(places.checkpoints, file.path), file);
        number++;
        await json("/checkpoint", { number, files });
        seen.set(name, mark);
        checkpoint = number;
      }
    };

    const isResumed = existsSync(join(folder, "started"));
    try {
      let resumeFrom = existsSync(join(folder, "resume")) ? readFileSync(join(folder, "resume"), "utf8") : "";
      if (!isResumed) {
        turn("fetching");
        await eachOf(job.files, (file) => insist(() => fetchFile(places.work, file)));
        for (const one of job.checkpoints) {
          const first = one.files[0]?.path.split("/")[0];
          if (first === undefined) continue;
          const whole = await eachOf(one.files, (file) => insist(() => fetchFile(places.checkpoints, file))).then(
            () => true,
            () => false,
          );
          resumeFrom = join(places.checkpoints, first);
          if (whole) break;
          // One that did not keep is as if it had never been; the one before it will do.
          rmSync(resumeFrom, { recursive: true, force: true });
          resumeFrom = "";
        }
        writeFileSync(join(folder, "resume"), resumeFrom);
        writeFileSync(join(folder, "started"), "");
      }
      for (const name of readdirSync(places.checkpoints))
        seen.set(name, String(statSync(join(places.checkpoints, name)).mtimeMs));
      turn("running");
      const over = new AbortController();
      say({
        type: "run",
        command: job.command,
        runMs: job.runMs,
        environment: {
          ...job.environment,
          NIKA_OUT: places.out,
          NIKA_CKPT_DIR: places.checkpoints,
          ...(resumeFrom !== "" && { NIKA_RESUME_FROM: resumeFrom }),
          NIKA_GRACE_S: String(Math.round(job.graceMs / 1000)),
          NIKA_DEADLINE: String(Math.round((Date.now() + job.runMs) / 1000)),
        },
      });
      const following = follow(over.signal);
      exitCode = await exited.promise;
      over.abort();
      await following;
    } catch (error) {
      if (error instanceof Refused) throw error;
      problem = error instanceof Error ? error.message : String(error);
    }
    turn("uploading");
    while (!(await insist(sendLog)));
    // What was saved last matters most to who is being taken away.
    await insist(sendCheckpoints);
    try {
      const files = await shippedOf(places.out, "");
      await eachOf(files, (file) => upload(join(places.out, file.path), file));
      const told = { files, exitCode: exitCode ?? -1, ...(problem !== undefined && { problem }) };
      // Who was made to stop is not done: it goes on elsewhere from what it saved.
      await insist(() => json("/results", { ...told, ...(takenInMs !== undefined && exitCode !== 0 && { isTaken: true }) }));
    } catch (error) {
      if (error instanceof Refused) throw error;
      problem ??= error instanceof Error ? error.message : String(error);
    }
    turn(problem === undefined && exitCode === 0 ? "done" : "failed");
  }

  async function fetchFile(root: string, { path, sha256, sizeBytes, isProgram }: Shipped): Promise<void> {
    const to = within(root, path);
    mkdirSync(dirname(to), { recursive: true });
    if (existsSync(to) && sizeOf(to) === sizeBytes && (await hashOf(to)) === sha256) return;
    if (diskFreeMb(root) * 1e6 < sizeBytes) throw new Refused(`the machine's disk is full; ${path} does not fit`);
    const answer = await ask(`/blob/${sha256}`, { method: "GET", into: `${to}.part` });
    if (answer.status === 404) throw new Refused(`${path} is not there any more`);
    if (answer.status !== 200) throw new Error(`blob: ${answer.status}`);
    if ((await hashOf(`${to}.part`)) !== sha256) {
      const times = (broken.get(sha256) ?? 0) + 1;
      broken.set(sha256, times);
      throw new (times < brokenMax ? Error : Refused)(`${path} did not arrive whole`);
    }
    renameSync(`${to}.part`, to);
    if (isProgram === true) chmodSync(to, 0o755);
  }

  /** In pieces; goes on where an earlier try ended. */
  async function upload(from: string, { sha256, sizeBytes }: Shipped): Promise<void> {
    const put = async (at: number, body: Buffer): Promise<number> => {
      const answer = await ask(`/blob/${sha256}?offset=${at}&size=${sizeBytes}`, { method: "PUT", body, timeoutMs: 120_000 });
      if (answer.status === 507) throw new Refused("Nika's disk is full");
      if (answer.status !== 200 && answer.status !== 409) throw new Error(`blob: ${answer.status}`);
      return (JSON.parse(answer.body.toString("utf8")) as { next: number }).next;
    };
    // Nothing at the beginning says how much is there already.
    let at = await insist(() => put(0, Buffer.alloc(0)));
    while (at < sizeBytes) {
      const piece = Buffer.alloc(Math.min(uploadBytes, sizeBytes - at));
      const handle = openSync(from, "r");
      try {
        if (readSync(handle, piece, 0, piece.length, at) !== piece.length)
          throw new Refused("a result changed while it was sent");
      } finally {
        closeSync(handle);
      }
      const before = at;
      at = await insist(() => put(before, piece));
    }
  }
}

const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

async function hashOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(file)) hash.update(piece as Buffer);
  return hash.digest("hex");
}

/** Fails for a path that would lead out of the folder. */
function within(root: string, path: string): string {
  const to = resolve(root, path);
  if (!to.startsWith(root + sep)) throw new Refused(`"${path}" leads out of its folder`);
  return to;
}

/** Every plain file under `name`, with its hash. Links are not followed. */
async function shippedOf(root: string, name: string): Promise<Shipped[]> {
  const found: Shipped[] = [];
  const look = async (path: string): Promise<void> => {
    const full = join(root, path);
    const entries = readdirSync(full, { withFileTypes: true });
    for (const entry of entries.toSorted((one, other) => (one.name < other.name ? -1 : 1))) {
      const inner = path === "" ? entry.name : `${path}/${entry.name}`;
      if (entry.isDirectory()) await look(inner);
      else if (entry.isFile()) await add(inner);
    }
  };
  const add = async (path: string): Promise<void> => {
    const { size, mode } = statSync(join(root, path));
    const sha256 = await hashOf(join(root, path));
    found.push({ path, sha256, sizeBytes: size, ...((mode & 0o100) !== 0 && { isProgram: true }) });
  };
  if (name === "" || statSync(join(root, name)).isDirectory()) await look(name);
  else await add(name);
  return found;
}

/** When one fails no other is begun, and those under way are waited for: nothing is written any more once this is over. */
async function eachOf<T>(list: readonly T[], run: (one: T) => Promise<void>): Promise<void> {
  const rest = [...list];
  const one = async (): Promise<void> => {
    for (let next = rest.shift(); next !== undefined; next = rest.shift()) {
      await run(next).catch((error: unknown) => {
        rest.length = 0;
        throw error;
      });
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: atOnce }, one));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}

// ---------------------------------------------------------------- what the machine is

const smiFields = "name,uuid,memory.total,driver_version,compute_cap";
/** Asked apart: a driver that does not know one of these answers none of them. */
const smiHealth =
  "ecc.errors.uncorrected.volatile.total,retired_pages.pending,clocks_throttle_reasons.hw_thermal_slowdown,clocks_throttle_reasons.hw_power_brake_slowdown";
const smiUse = "utilization.gpu,memory.used,temperature.gpu";
let hasSmi: boolean | undefined;

/** Rows of `nvidia-smi`'s answer; none where there is no such program. */
function smi(setting: Setting, fields: string): string[][] {
  if (setting.simulatedGpus !== undefined) {
    const made = JSON.parse(setting.simulatedGpus) as { name: string; memoryMb: number; count: number };
    const row = fields === smiFields ? [made.name, "GPU-simulated", String(made.memoryMb), "simulated", "0.0"] : ["0", "0", "0"];
    return Array.from({ length: made.count }, () => row);
  }
  if (hasSmi === false) return [];
  const { status, stdout } = spawnSync("nvidia-smi", [`--query-gpu=${fields}`, "--format=csv,noheader,nounits"], {
    encoding: "utf8",
    timeout: 10_000,
  });
  if (fields !== smiHealth) hasSmi = status === 0;
  if (status !== 0) return [];
  return stdout
    .trim()
    .split("\n")
    .map((line) => line.split(",").map((field) => field.trim()));
}

/** nvidia-smi counts in MiB, we in MB. */
const toMb = (mib: string | undefined): number => Math.round((Number(mib) || 0) * 1.048576);

function factsOf(setting: Setting): MachineFacts {
  const found = smi(setting, smiFields);
  const health = setting.simulatedGpus === undefined && found.length > 0 ? smi(setting, smiHealth) : [];
  const gpus = found.map(([name = "", uuid = "", memory, driver = "", compute], index): GpuFact => ({
    name,
    uuid,
    memoryMb: setting.simulatedGpus === undefined ? toMb(memory) : Number(memory),
    driver,
    ...(compute !== undefined && /^\d/.test(compute) && { compute }),
    ...healthOf(health[index]),
  }));
  return {
    gpus,
    ...(setting.simulatedGpus !== undefined && { isSimulated: true }),
    cpus: availableParallelism(),
    memoryMb: Math.round(totalmem() / 1e6),
    diskFreeMb: diskFreeMb(setting.folder),
    system: `${systemType()} ${release()}`,
  };
}

/** What is not told ("[N/A]") is left out. */
function healthOf([errors = "", retiring, hot, starved]: readonly string[] = []): Partial<GpuFact> {
  const isThrottled = hot === "Active" || starved === "Active";
  return {
    ...(/^\d+$/.test(errors) && { memoryErrors: Number(errors) }),
    ...(retiring === "Yes" && { isRetiring: true }),
    ...(isThrottled && { isThrottled }),
  };
}

function gpuUse(setting: Setting): Beat["gpus"] {
  return smi(setting, smiUse).map(([use, memory, celsius]) => ({
    usePercent: Number(use) || 0,
    memoryMb: toMb(memory),
    ...(Number.isFinite(Number(celsius)) && { celsius: Number(celsius) }),
  }));
}

function diskFreeMb(folder: string): number {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return Math.round((bavail * bsize) / 1e6);
  } catch {
    return Math.round(freemem() / 1e6);
  }
}

/** Asks the vendor's own address every 5 s; says once that the machine will be taken. What to plan for is less than what is promised. */
async function notices({ notice, noticeUrl, folder }: Setting, taken: (inMs: number) => void): Promise<void> {
  const base = noticeUrl ?? (notice === "google" ? "http://metadata.google.internal" : "http://169.254.169.254");
  const get = async (path: string, headers: Record<string, string>, method = "GET"): Promise<string | undefined> => {
    const { status, body } = await call(`${base}${path}`, { method, headers, timeoutMs: 2_000 });
    return status === 200 ? body.toString("utf8") : undefined;
  };
  for (;;) {
    try {
      if (notice === "aws") {
        const token = await get("/latest/api/token", { "x-aws-ec2-metadata-token-ttl-seconds": "60" }, "PUT");
        const headers = { "x-aws-ec2-metadata-token": token ?? "" };
        if ((await get("/latest/meta-data/spot/instance-action", headers)) !== undefined) return taken(110_000);
      } else if (notice === "google") {
        const said = await get("/computeMetadata/v1/instance/preempted", { "Metadata-Flavor": "Google" });
        if (said?.trim() === "TRUE") return taken(25_000);
      } else {
        const said = await get("/metadata/scheduledevents?api-version=2020-07-01", { Metadata: "true" });
        if (said !== undefined && /"Preempt"/.test(said)) return taken(25_000);
      }
    } catch (error) {
      note(folder, `no notices: ${String(error)}`);
    }
    await delay(5_000);
  }
}

const setting = settingOf(process.env);
if (process.argv[2] === "work")
  work(setting).catch((error: unknown) => {
    note(setting.folder, String(error instanceof Error ? error.stack : error));
    if (error instanceof Refused) process.send?.({ type: "over", why: `sent away: ${error.message}` } satisfies ToGuard);
    else process.exit(1);
  });
else {
  rmSync(join(setting.folder, "agent.log.old"), { force: true });
  guard(setting);
}
