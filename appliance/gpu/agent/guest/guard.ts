/**
 * The outer process: it holds the command as its child, keeps the time by a clock that nobody sets, and ends the machine when its time is up or
 * nobody answers.
 */
import { fork, spawn, type ChildProcess } from "node:child_process";
import { closeSync, mkdirSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { WorkState } from "../../../../convex/model/agent.ts";
import { endMachine } from "./end.ts";
import { note } from "./note.ts";
import type { Setting } from "./setting.ts";
import { isSigned, type Enrolled, type FromGuard, type Reply, type ToGuard } from "./wire.ts";

const lookMs = 1_000;
const self = process.argv[1] ?? "";
/** Monotonic: a clock that is set does not move it. */
const now = (): number => performance.now();

/** `outside`: what it was started with; the command gets what of it does not tell how the agent is let in. */
export function guard(setting: Setting, outside: NodeJS.ProcessEnv): void {
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
      env: { ...payloadEnvironment(outside), ...environment },
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
