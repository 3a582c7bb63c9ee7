import { once } from "node:events";
import type { ProcessReply, ProcessRequest } from "./processes.ts";

/** The inside of a process opened by processes.ts: answers each request with what `handle` returns or throws; ends with its parent. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- names what the caller's handler takes
export function serve<Request, Reply>(handle: (request: Request, bytes: Uint8Array) => Reply | Promise<Reply>): void {
  const answer = async ({ request, bytesLength }: ProcessRequest): Promise<void> => {
    try {
      reply({ ok: true, value: await handle(request as Request, await readBytes(bytesLength)) });
    } catch (error) {
      const { name, message } = error instanceof Error ? error : new Error(String(error));
      reply({ ok: false, name, message });
    }
  };
  process.on("message", (message: ProcessRequest) => void answer(message));
  process.once("disconnect", () => process.exit(0));
}

/** The next bytes of the pipe. Requests come one at a time, so what is in it belongs to this one. */
async function readBytes(length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let at = 0;
  while (at < length) {
    const part = process.stdin.read() as Uint8Array | null;
    if (part) {
      bytes.set(part, at);
      at += part.length;
    } else {
      await once(process.stdin, "readable");
    }
  }
  return bytes;
}

function reply(message: ProcessReply): void {
  process.send?.(message);
}
