/**
 * The inside of a sandbox for one function in JavaScript or TypeScript. Started as `node runner.mjs ENTRY`; nothing but node's own
 * modules is here. It speaks one JSON document a line: calls come on stdin, what becomes of them goes to stdout. Whoever writes there
 * by another way only spoils the function's own answers. The other side of this is appliance/owned/guest.ts.
 */
import { writeSync } from "node:fs";
import { registerHooks } from "node:module";
import { pathToFileURL } from "node:url";
import { format } from "node:util";

const protocol = 1;
const outputBytesMax = 1024 * 1024;
const lineCharsMax = 4_000;
const stackCharsMax = 2_000;

type Call = { readonly type: "call"; readonly id: number; readonly input: unknown; readonly about: object };
type Message = Call | { readonly type: "cancel"; readonly id: number };
type Handler = (input: unknown, context: object) => unknown;

let current: { readonly id: number; readonly stop: AbortController } | undefined;

function send(message: object): void {
  const bytes = Buffer.from(`${JSON.stringify(message)}\n`);
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(1, bytes, at);
    } catch (error) {
      // A full pipe: the other side reads when it can.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

function say(level: string, text: string): void {
  const short = text.length > lineCharsMax ? `${text.slice(0, lineCharsMax)}… (${text.length} characters)` : text;
  send({ type: "log", id: current?.id ?? 0, level, text: short });
}

for (const level of ["debug", "log", "info", "warn", "error", "trace"] as const)
  console[level] = (...said: unknown[]) => say(level === "log" ? "info" : level, format(...said));
for (const stream of [process.stdout, process.stderr])
  stream.write = (text: string | Uint8Array, ...rest: unknown[]) => {
    say("info", (typeof text === "string" ? text : Buffer.from(text).toString("utf8")).replace(/\n$/u, ""));
    const done = rest.find((one) => typeof one === "function") as (() => void) | undefined;
    if (done) process.nextTick(done);
    return true;
  };

// Types were taken out before the files came here; the loader need not look for them again.
registerHooks({
  load(url, context, next) {
    return next(url, /\.[mc]?ts$/u.test(url) ? { ...context, format: url.endsWith(".cts") ? "commonjs" : "module" } : context);
  },
});

/** A message for the owner and the top of the stack for the log. */
function toFailure(thrown: unknown): { message: string; stack: string; retry: boolean } {
  const error = thrown instanceof Error ? thrown : new Error(format(thrown));
  const retry = (thrown as { retry?: unknown } | null | undefined)?.retry !== false;
  return {
    message: `${error.name}: ${error.message}`.slice(0, 1_000),
    stack: (error.stack ?? "").slice(0, stackCharsMax),
    retry,
  };
}

async function run(handler: Handler, { id, input, about }: Call): Promise<void> {
  const stop = new AbortController();
  current = { id, stop };
  const context = {
    ...about,
    signal: stop.signal,
    log: (...said: unknown[]) => say("info", format(...said)),
    progress: (done: number, total: number) => send({ type: "progress", id, done, total }),
  };
  try {
    const output = JSON.stringify((await handler(input, context)) ?? null) ?? "null";
    if (Buffer.byteLength(output) > outputBytesMax)
      throw Object.assign(new RangeError(`what it returns is larger than ${outputBytesMax / 1024} KB`), { retry: false });
    send({ type: "result", id, output });
  } catch (error) {
    send({ type: "failed", id, ...toFailure(error) });
  } finally {
    current = undefined;
  }
}

process.on("uncaughtException", (error) => {
  send({ type: current ? "failed" : "log", id: current?.id ?? 0, level: "error", text: String(error), ...toFailure(error) });
  process.exit(1);
});

async function main(): Promise<void> {
  const entry = process.argv[2] ?? "";
  let handler: Handler;
  try {
    const loaded = (await import(pathToFileURL(entry).href)) as { default?: unknown; handler?: unknown };
    const found = loaded.default ?? loaded.handler;
    if (typeof found !== "function") throw new TypeError("it has no `export default async (input, ctx) => …`");
    handler = found as Handler;
  } catch (error) {
    send({ type: "broken", protocol, ...toFailure(error) });
    process.exit(1);
  }
  send({ type: "ready", protocol });
  let rest = "";
  process.stdin.setEncoding("utf8");
  process.stdin.on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const message = JSON.parse(line) as Message;
      if (message.type === "call") void run(handler, message);
      else if (current?.id === message.id) current.stop.abort(new DOMException("The call was cancelled.", "AbortError"));
    }
  });
  process.stdin.on("end", () => process.exit(0));
}

void main();
