/** MCP over two byte streams, a JSON document on each line: how one speaks to a process, a sandbox or a socket. */
import type { Readable, Writable } from "node:stream";
import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/client";

/** A longer line ends the connection: it would have to be kept whole in memory. */
export const lineBytesMax = 10 * 1024 * 1024;

const lineFeed = 0x0a;

/** `check` fails for what is no message; `refuse` is told of it, and of what is no JSON as undefined. */
export type Strictness = {
  readonly check: (value: unknown) => JSONRPCMessage;
  readonly refuse: (value: unknown) => void;
};

/**
 * Messages go both ways until either stream ends; `close` ends `input` and runs `onClose`. Lines that are no JSON are reported and skipped: servers
 * print things they should not.
 */
export function pipeTransport(
  { input, output }: { readonly input: Writable; readonly output: Readable },
  onClose: () => Promise<void> = () => Promise.resolve(),
  strictness?: Strictness,
): Transport {
  let chunks: Buffer[] = [];
  let heldBytes = 0;
  let isClosed = false;
  let isTelling = false;
  const lines: Buffer[] = [];
  const transport: Transport = {
    start() {
      output.on("data", take);
      for (const event of ["end", "close"] as const) output.once(event, end);
      for (const stream of [input, output]) stream.on("error", (error: Error) => transport.onerror?.(error));
      input.once("close", end);
      return Promise.resolve();
    },
    send: (message) =>
      new Promise((resolve, reject) => {
        if (isClosed || !input.writable) return reject(new Error("The connection is closed."));
        if (input.write(`${JSON.stringify(message)}\n`)) resolve();
        // A peer that does not read holds up its writer, unless it goes away.
        else {
          const settle = (): void => {
            input.off("drain", settle);
            input.off("close", settle);
            resolve();
          };
          input.once("drain", settle);
          input.once("close", settle);
        }
      }),
    async close() {
      end();
      await onClose();
    },
  };

  function take(chunk: Buffer): void {
    let start = 0;
    for (let at = chunk.indexOf(lineFeed); at !== -1; at = chunk.indexOf(lineFeed, start)) {
      const piece = chunk.subarray(start, at);
      start = at + 1;
      lines.push(heldBytes === 0 ? piece : Buffer.concat([...chunks, piece]));
      chunks = [];
      heldBytes = 0;
    }
    if (!isTelling) tellAll();
    if (start === chunk.length) return;
    chunks.push(start === 0 ? chunk : chunk.subarray(start));
    heldBytes += chunk.length - start;
    if (heldBytes <= lineBytesMax) return;
    transport.onerror?.(new Error(`A message is longer than ${lineBytesMax / 1024 / 1024} MB.`));
    void transport.close();
  }

  /** The SDK takes progress a moment later than answers, and an answer ends the progress: between the two it gets that moment. */
  function tellAll(): void {
    isTelling = false;
    for (let line = lines.shift(); line; line = lines.shift()) {
      tell(line);
      if (lines.length === 0 || !line.includes("notifications/progress")) continue;
      isTelling = true;
      setImmediate(tellAll);
      return;
    }
  }

  function tell(line: Buffer): void {
    if (line.length === 0 || (line.length === 1 && line[0] === 0x0d)) return;
    let message: unknown;
    try {
      message = JSON.parse(line.toString("utf8"));
    } catch {
      strictness?.refuse(undefined);
      transport.onerror?.(new Error("It wrote something that is no JSON."));
      return;
    }
    if (strictness) {
      let checked: JSONRPCMessage;
      try {
        checked = strictness.check(message);
      } catch {
        strictness.refuse(message);
        return;
      }
      transport.onmessage?.(checked);
    } else if (isMessage(message)) transport.onmessage?.(message);
    else transport.onerror?.(new Error("It wrote something that is no JSON-RPC."));
  }

  function end(): void {
    if (isClosed) return;
    isClosed = true;
    output.off("data", take);
    input.end();
    chunks = [];
    transport.onclose?.();
  }
  return transport;
}

/** Enough to hand it on: the SDK looks at the rest. */
function isMessage(value: unknown): value is JSONRPCMessage {
  if (typeof value !== "object" || value === null || !("jsonrpc" in value) || value.jsonrpc !== "2.0") return false;
  const { id, method } = value as { id?: unknown; method?: unknown };
  const isNamed = typeof id === "string" || typeof id === "number";
  return typeof method === "string" ? id === undefined || isNamed : isNamed && ("result" in value || "error" in value);
}
