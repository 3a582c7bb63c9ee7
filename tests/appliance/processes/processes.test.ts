import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import {
  openProcesses,
  ProcessLostError,
  type Processes,
  type ProcessesOptions,
} from "../../../appliance/processes/processes.ts";
import type { FileBytes } from "../../../functions/ports/files.ts";
import type { Deed } from "./misbehave.ts";

const pieceBytes = 64 * 1024;
const never = new AbortController().signal;

function open(t: TestContext, options: Partial<ProcessesOptions> = {}): Processes<Deed, unknown> {
  const processes = openProcesses<Deed, unknown>({
    entry: new URL("misbehave.ts", import.meta.url),
    processesMax: 1,
    memoryMiBMax: 280,
    timeLimitMs: 30_000,
    idleMs: 30_000,
    ...options,
  });
  t.after(() => processes.close());
  return processes;
}

const lost = (reason: string) => (error: unknown) => error instanceof ProcessLostError && error.reason === reason;
const cancelled = (error: unknown): boolean => error instanceof Error && "code" in error && error.code === "cancelled";

test("bytes arrive whole, and the same process answers again", async (t) => {
  const processes = open(t);
  const bytes = new Uint8Array(3_000_000).fill(2);

  assert.equal(await processes.call("sum", { signal: never, bytes }), 6_000_000);
  assert.equal(await processes.call("sum", { signal: never, bytes: new Uint8Array([1, 2]) }), 3);
  assert.equal(await processes.call("pid", { signal: never }), await processes.call("pid", { signal: never }));
});

/** Ones, a piece at a time. `onPiece` sees how many were taken. */
function ones(sizeBytes: number, given = sizeBytes, onPiece: (taken: number) => void | Promise<void> = () => {}): FileBytes {
  return {
    sizeBytes,
    async *pieces(signal) {
      for (let at = 0; at < given; at += pieceBytes) {
        signal.throwIfAborted();
        await onPiece(at / pieceBytes);
        yield new Uint8Array(Math.min(pieceBytes, given - at)).fill(1);
      }
    },
  };
}

test("bytes that come in pieces arrive whole, and the next request begins with its own", async (t) => {
  const processes = open(t);

  assert.equal(await processes.call("sum", { signal: never, bytes: ones(3_000_001) }), 3_000_001);
  assert.equal(await processes.call("sum", { signal: never, bytes: ones(7) }), 7);
});

test("pieces are taken no faster than the process takes them", async (t) => {
  const processes = open(t, { timeLimitMs: 2_000 });
  let taken = 0;
  // The request before leaves it unable to read on.
  await processes.call("stopReading", { signal: never });
  const stuck = processes.call("length", { signal: never, bytes: ones(1024 * pieceBytes, undefined, (at) => void (taken = at)) });

  await assert.rejects(stuck, lost("slow"));
  // What the pipe and both ends' buffers hold differs from system to system; it is far from all of it.
  assert.ok(taken < 512, `${taken} pieces were taken`);
});

test("what the source of the bytes fails with is what the request fails with, and the next is served", async (t) => {
  const processes = open(t);
  const broken = ones(10 * pieceBytes, undefined, (at) => {
    if (at === 3) throw new RangeError("the disk is gone");
  });

  await assert.rejects(processes.call("sum", { signal: never, bytes: broken }), {
    name: "RangeError",
    message: "the disk is gone",
  });
  await assert.rejects(processes.call("sum", { signal: never, bytes: ones(pieceBytes, pieceBytes - 1) }), {
    code: "unavailable",
  });
  await assert.rejects(processes.call("sum", { signal: never, bytes: ones(pieceBytes, pieceBytes + 1) }), {
    code: "unavailable",
  });
  assert.equal(await processes.call("sum", { signal: never, bytes: ones(5) }), 5);
});

test("a source that is slow is not the process's fault", async (t) => {
  const processes = open(t, { timeLimitMs: 2_000 });
  // Longer than a request may take by itself.
  const slow = ones(2 * pieceBytes, undefined, (at) => new Promise((done) => setTimeout(done, at === 1 ? 2_500 : 0)));

  assert.equal(await processes.call("length", { signal: never, bytes: slow }), 2 * pieceBytes);
});

test("requests that bring much are worked on one after another, small ones beside each other", async (t) => {
  const processes = open(t, { processesMax: 2, bytesMax: 3 * pieceBytes });
  const sources = { now: 0, most: 0 };
  const counted = (sizeBytes: number): FileBytes => {
    const source = ones(sizeBytes);
    return {
      sizeBytes,
      async *pieces(signal) {
        sources.most = Math.max(sources.most, (sources.now += 1));
        try {
          await new Promise((done) => setTimeout(done, 200));
          yield* source.pieces(signal);
        } finally {
          sources.now -= 1;
        }
      },
    };
  };
  const call = (pieces: number): Promise<unknown> =>
    processes.call("length", { signal: never, bytes: counted(pieces * pieceBytes) });

  assert.deepEqual(
    await Promise.all([call(2), call(2), call(9)]),
    [2, 2, 9].map((pieces) => pieces * pieceBytes),
  );
  assert.equal(sources.most, 1);
  sources.most = 0;
  await Promise.all([call(1), call(1)]);
  assert.equal(sources.most, 2);
});

test("an answer may come in parts, in order, each request's its own", async (t) => {
  const processes = open(t, { processesMax: 2 });

  const answers = await Promise.all([1, 2, 3].map(() => processes.callInParts("parts", { signal: never })));

  for (const { reply, parts } of answers) {
    assert.equal(reply, "the rest");
    assert.deepEqual(
      (parts as Uint8Array[]).map((part) => [part.length, part[0]]),
      Array.from({ length: 40 }, (_, at) => [100_000, at]),
    );
  }
  assert.deepEqual((await processes.callInParts("length", { signal: never })).parts, []);
});

test("a request that is tried again alone gets its bytes from the beginning", async (t) => {
  const processes = open(t, { processesMax: 3, memoryMiBMax: 400 });

  const answers = await Promise.all([1, 2, 3].map(() => processes.call("bigSum", { signal: never, bytes: ones(100_001) })));

  assert.deepEqual(answers, [100_001, 100_001, 100_001]);
});

test("a process that hangs is ended, and the next request gets another", async (t) => {
  const processes = open(t, { timeLimitMs: 1_500 });
  const hung = processes.call("spin", { signal: never });
  const next = processes.call("sum", { signal: never, bytes: new Uint8Array([7]) });

  await assert.rejects(hung, lost("slow"));
  assert.equal(await next, 7);
});

test("a process that fills its heap, or buffers beside it, is ended and says so", async (t) => {
  const processes = open(t);

  await assert.rejects(processes.call("heap", { signal: never }), lost("memory"));
  await assert.rejects(processes.call("buffers", { signal: never }), lost("memory"));
  assert.equal(await processes.call("sum", { signal: never }), 0);
});

test("a process that grew large with a request is not used again", async (t) => {
  const processes = open(t, { memoryMiBMax: 400 });
  const before = await processes.call("pid", { signal: never });

  await processes.call("big", { signal: never });

  assert.notEqual(await processes.call("pid", { signal: never }), before);
});

test("a request that had too little memory in company gets it alone", async (t) => {
  const processes = open(t, { processesMax: 3, memoryMiBMax: 400 });

  const answers = await Promise.all([1, 2, 3].map(() => processes.call("big", { signal: never })));

  assert.deepEqual(answers, [1, 1, 1]);
});

test("a process that ends by itself, or a handler that throws, is told as a crash", async (t) => {
  const processes = open(t);

  await assert.rejects(processes.call("exit", { signal: never }), lost("crashed"));
  await assert.rejects(
    processes.call("throw", { signal: never }),
    (error) => lost("crashed")(error) && /a reason/.test(String((error as Error).cause)),
  );
});

test("a request can be called off while it waits and while it is worked on", async (t) => {
  const processes = open(t);
  const [first, second] = [new AbortController(), new AbortController()];
  const working = processes.call("spin", { signal: first.signal });
  const waiting = processes.call("sum", { signal: second.signal });

  second.abort();
  await assert.rejects(waiting, cancelled);
  first.abort();
  await assert.rejects(working, cancelled);
  await assert.rejects(processes.call("sum", { signal: AbortSignal.abort() }), cancelled);
  assert.equal(await processes.call("sum", { signal: never }), 0);
});

test("a process without work ends, and is started again when there is some", async (t) => {
  const processes = open(t, { idleMs: 1 });
  const first = (await processes.call("pid", { signal: never })) as number;
  while (isRunning(first)) await new Promise((resolve) => setImmediate(resolve));

  assert.notEqual(await processes.call("pid", { signal: never }), first);
});

test("a process has no environment, and may not write, start others or read beyond the program", async (t) => {
  const processes = open(t);

  const names = (await processes.call("environment", { signal: never })) as string[];
  assert.deepEqual(
    names.filter((name) => !name.startsWith("MALLOC_") && name !== "NODE_CHANNEL_FD"),
    [],
  );
  for (const deed of ["write", "spawn", "read"] as const)
    assert.equal(await processes.call(deed, { signal: never }), "ERR_ACCESS_DENIED", deed);
});

test("a process may ask while it works, and what the answer takes is not its own time", async (t) => {
  const asked: unknown[] = [];
  const answer = async (question: unknown): Promise<unknown> => {
    asked.push(question);
    // Longer than a request may take by itself.
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    return { to: question };
  };
  const processes = open(t, { answer, timeLimitMs: 4_000 });

  assert.deepEqual(await processes.call("ask", { signal: never }), [{ to: "one" }, { to: "other" }]);
  assert.deepEqual(asked, ["one", "other"]);
});

test("when the parent cannot answer, the request ends with its reason, and the next is served", async (t) => {
  const processes = open(t, { answer: async () => Promise.reject(new RangeError("too busy")) });

  await assert.rejects(processes.call("ask", { signal: never }), { name: "RangeError", message: "too busy" });
  assert.equal(await processes.call("sum", { signal: never, bytes: new Uint8Array([7]) }), 7);
  await assert.rejects(open(t).call("ask", { signal: never }), { message: "Nobody answers." });
});

test("a process that may load machine code may still not write, start others or read beyond the program", async (t) => {
  const processes = open(t, { allowsAddons: true });

  for (const deed of ["write", "read", "spawn"] as const)
    assert.equal(await processes.call(deed, { signal: never }), "ERR_ACCESS_DENIED");
});

test("closing ends what runs, refuses what comes, and may be repeated", async (t) => {
  const processes = open(t);
  const pid = (await processes.call("pid", { signal: never })) as number;
  const working = processes.call("spin", { signal: never });

  await Promise.all([assert.rejects(working, cancelled), processes.close()]);
  await processes.close();

  assert.ok(!isRunning(pid));
  await assert.rejects(processes.call("sum", { signal: never }), cancelled);
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
