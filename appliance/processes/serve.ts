import { once } from "node:events";
import type { ProcessAnswer, ProcessPart, ProcessQuestion, ProcessReply, ProcessRequest } from "./processes.ts";

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
  process.on("message", (message: ProcessRequest | ProcessAnswer) => {
    if ("answerTo" in message) waiting.get(message.answerTo)?.(message.value);
    else void answer(message);
  });
  process.once("disconnect", () => process.exit(0));
}

const waiting = new Map<number, (value: unknown) => void>();
let asked = 0;

/** Asks the parent, from inside a handler. When the parent cannot answer, it ends this process and the request with it. */
export async function askParent(question: unknown): Promise<unknown> {
  asked += 1;
  const ask = asked;
  const answered = new Promise<unknown>((resolve) => waiting.set(ask, resolve));
  const message: ProcessQuestion = { ask, question };
  process.send?.(message);
  return await answered.finally(() => waiting.delete(ask));
}

/**
 * Hands over a part of the answer ahead of the rest, from inside a handler, and resolves when it has left: what is large never lies in the
 * channel whole. The parent gets the parts in order.
 */
export async function handOver(part: unknown): Promise<void> {
  const message: ProcessPart = { part };
  await new Promise<void>((resolve) => process.send?.(message, () => resolve()));
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
