import { parentPort } from "node:worker_threads";
import type { ThreadReply } from "./threads.ts";

/** The inside of a thread opened by threads.ts: answers each request with what `handle` returns or throws. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- names what the caller's handler takes
export function serve<Request, Reply>(
  handle: (request: Request) => Reply | Promise<Reply>,
  transferOf: (reply: Reply) => ArrayBuffer[] = () => [],
): void {
  const answer = async (request: Request): Promise<void> => {
    try {
      const value = await handle(request);
      post({ ok: true, value, heapBytes: heapBytes() }, transferOf(value));
    } catch (error) {
      post({ ok: false, error, heapBytes: heapBytes() });
    }
  };
  parentPort?.on("message", (request: Request) => void answer(request));
}

function post(reply: ThreadReply, transfer: ArrayBuffer[] = []): void {
  parentPort?.postMessage(reply, transfer);
}

/** This thread's heap and buffers; the numbers of the process would count the other threads too. */
function heapBytes(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
