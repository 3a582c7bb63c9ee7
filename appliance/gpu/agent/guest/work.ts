/** The inner process: it dials out. When it is lost it is started anew, and the command never notices. */
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Beat, Shipped, WorkState } from "../../../../convex/model/agent.ts";
import { call, Refused, type Answer, type CallOptions } from "./call.ts";
import { endMachine } from "./end.ts";
import { diskFreeMb, factsOf, gpuUse } from "./facts.ts";
import { eachOf, hashOf, shippedOf, sizeOf, within } from "./files.ts";
import { note } from "./note.ts";
import { notices } from "./notices.ts";
import type { Setting } from "./setting.ts";
import { isSigned, type Enrolled, type FromGuard, type Reply, type ToGuard, type Work } from "./wire.ts";

const uploadBytes = 4 << 20;
const logBytes = 64 << 10;
const lookMs = 1_000;
const agentEndsMs = 3_000;
const brokenMax = 3;
const logCap = 16 << 20;

export async function work(setting: Setting): Promise<void> {
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
