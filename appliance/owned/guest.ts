/**
 * Speaks with the runner inside a sandbox (guest/runner.ts): one JSON document a line, version 1. Nothing that comes from there is
 * believed: lines have a bound, so has all of it together, and whoever sends something else is ended. A guest that lies can spoil only
 * the answers of its own function.
 */
import type { Readable } from "node:stream";
import type { Sandbox, SandboxEnd } from "../../functions/ports/sandboxes.ts";
import type { UserReply } from "../../functions/ports/userFunctions.ts";

type Failed = Omit<Extract<UserReply, { readonly type: "failed" }>, "facts">;
export type GuestReply = { readonly type: "done"; readonly output: string } | Failed;

export type GuestCall = {
  /** JSON text. */
  readonly input: string;
  readonly about: object;
  readonly onLog: (text: string) => void;
  readonly onProgress: (done: number, total: number) => void;
};

export type Guest = {
  /** Resolves when it can be called; with the reason when it never will. */
  readonly ready: Promise<{ readonly ok: true } | Failed>;
  /** One at a time. Never rejects. */
  call(call: GuestCall): Promise<GuestReply>;
  /** Tells the running call that nobody wants it any more. */
  cancel(): void;
  /** What it is, beyond its own account: when this is true it must not be called again. */
  readonly isLost: () => boolean;
  readonly ended: Promise<SandboxEnd>;
};

const protocol = 1;
/** An output of a megabyte, quoted. */
const lineBytesMax = 3 * 1024 * 1024;
/** All that it may say during one call, and while none runs. */
const callBytesMax = 16 * 1024 * 1024;
const idleBytesMax = 256 * 1024;
const spoken: Failed = {
  type: "failed",
  code: "invalid",
  message: "The function wrote to its own answers; use console.log or ctx.log, and return what it is to answer.",
  retry: false,
};
const flooded: Failed = {
  type: "failed",
  code: "invalid",
  message: "The function said more than it may in one call.",
  retry: false,
};

type Running = GuestCall & { readonly id: number; readonly end: (reply: GuestReply) => void };

/** `memoryMiB` only for the sentence that says how much it had. */
export function openGuest(sandbox: Sandbox, memoryMiB: number): Guest {
  const { promise: ready, resolve: settleReady } = Promise.withResolvers<{ ok: true } | Failed>();
  let running: Running | undefined;
  let calls = 0;
  let heardBytes = 0;
  let isLost = false;
  let lastWords = "";
  let isReady = false;

  const end = (reply: GuestReply): void => {
    const call = running;
    running = undefined;
    heardBytes = 0;
    call?.end(reply);
  };
  const spoil = (why: Failed): void => {
    if (isLost) return;
    isLost = true;
    if (!isReady) settleReady(why);
    end(why);
    void sandbox.stop().catch(() => undefined);
  };

  const hear = (line: string): void => {
    let message: Record<string, unknown>;
    try {
      message = JSON.parse(line) as Record<string, unknown>;
    } catch {
      return spoil(spoken);
    }
    if (typeof message !== "object" || message === null) return spoil(spoken);
    if (!isReady) {
      if (message["type"] === "ready" && message["protocol"] === protocol) {
        isReady = true;
        settleReady({ ok: true });
      } else if (message["type"] === "broken") {
        isLost = true;
        settleReady({
          type: "failed",
          code: "invalid",
          message: `It cannot be loaded: ${toText(message["message"])}`,
          retry: false,
        });
        void sandbox.stop().catch(() => undefined);
      } else if (message["type"] !== "log") spoil(spoken);
      return;
    }
    // What is late or about nothing is dropped: a timer of the call before may still be at work.
    const call = running;
    if (!call || message["id"] !== call.id) return;
    switch (message["type"]) {
      case "log":
        return call.onLog(
          `${message["level"] === "info" ? "" : `[${toText(message["level"]).slice(0, 10)}] `}${toText(message["text"])}\n`,
        );
      case "progress":
        return call.onProgress(toCount(message["done"]), toCount(message["total"]));
      case "result":
        if (typeof message["output"] !== "string" || !isJson(message["output"])) return spoil(spoken);
        return end({ type: "done", output: message["output"] });
      case "failed":
        if (typeof message["stack"] === "string" && message["stack"] !== "") call.onLog(`${message["stack"]}\n`);
        return end({ type: "failed", code: "invalid", message: toText(message["message"]), retry: message["retry"] !== false });
      default:
        return spoil(spoken);
    }
  };

  readLines(sandbox.output, {
    onLine: hear,
    onTooLong: () => spoil(spoken),
    onBytes(count) {
      heardBytes += count;
      if (heardBytes > (running || !isReady ? callBytesMax : idleBytesMax)) spoil(flooded);
    },
  });
  sandbox.errors.setEncoding("utf8");
  sandbox.errors.on("data", (text: string) => {
    lastWords = (lastWords + text).slice(-2_000);
    running?.onLog(text);
  });
  // A guest that went away cannot be written to; its end is told by `ended`.
  for (const stream of [sandbox.input, sandbox.output, sandbox.errors]) stream.on("error", () => {});
  void sandbox.ended.then((ending) => {
    isLost = true;
    const why = endOf(ending, { memoryMiB, lastWords });
    settleReady(why);
    end(why);
  });

  return {
    ready,
    ended: sandbox.ended,
    isLost: () => isLost,
    call(call) {
      const { promise, resolve } = Promise.withResolvers<GuestReply>();
      calls += 1;
      heardBytes = 0;
      running = { ...call, id: calls, end: resolve };
      if (isLost) end({ type: "failed", code: "unavailable", message: "Its sandbox went away; try again.", retry: true });
      // Written anew: what was handed over may stand on several lines.
      else
        write(
          `{"type":"call","id":${calls},"about":${JSON.stringify(call.about)},"input":${JSON.stringify(JSON.parse(call.input))}}\n`,
        );
      return promise;
    },
    cancel() {
      if (running && !isLost) write(`${JSON.stringify({ type: "cancel", id: running.id })}\n`);
    },
  };

  function write(text: string): void {
    sandbox.input.write(text);
  }
}

function endOf({ code, reason }: SandboxEnd, { memoryMiB, lastWords }: { memoryMiB: number; lastWords: string }): Failed {
  const failed = { type: "failed" as const, retry: false };
  const isHeap = /heap out of memory|allocation failed|MemoryError/iu.test(lastWords);
  if (reason === "memory" || isHeap)
    return {
      ...failed,
      code: "full",
      message: `It needed more than its ${memoryMiB} MiB of memory; see "limits" in function.json.`,
    };
  if (reason === "time") return { ...failed, code: "timeout", message: "It took longer than it may." };
  if (reason === "exit") {
    const said = lastWords.trim().split("\n").at(-1) ?? "";
    const words = said === "" ? "" : `: ${said.slice(0, 200)}`;
    return {
      ...failed,
      code: "invalid",
      message: `The function ended its own process (exit code ${code ?? "unknown"})${words}.`,
      retry: true,
    };
  }
  return { ...failed, code: "unavailable", message: "Its sandbox went away; try again.", retry: true };
}

type LineReader = {
  readonly onLine: (line: string) => void;
  readonly onTooLong: () => void;
  readonly onBytes: (count: number) => void;
};

function readLines(stream: Readable, { onLine, onTooLong, onBytes }: LineReader): void {
  let parts: Buffer[] = [];
  let length = 0;
  stream.on("data", (chunk: Buffer) => {
    onBytes(chunk.length);
    let from = 0;
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      const line = Buffer.concat([...parts, chunk.subarray(from, at)]);
      parts = [];
      length = 0;
      from = at + 1;
      if (line.length > 0) onLine(line.toString("utf8"));
    }
    const rest = chunk.subarray(from);
    length += rest.length;
    if (length > lineBytesMax) {
      parts = [];
      length = 0;
      return onTooLong();
    }
    if (rest.length > 0) parts.push(rest);
  });
}

const toText = (given: unknown): string => (typeof given === "string" ? given.slice(0, 4_200) : "");
const toCount = (given: unknown): number => (typeof given === "number" && Number.isFinite(given) ? given : 0);

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
