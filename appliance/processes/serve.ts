import type { ProcessReply } from "./processes.ts";

/** The inside of a process opened by processes.ts: answers each request with what `handle` returns or throws; ends with its parent. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- names what the caller's handler takes
export function serve<Request, Reply>(handle: (request: Request) => Reply | Promise<Reply>): void {
  const answer = async (request: Request): Promise<void> => {
    try {
      reply({ ok: true, value: await handle(request) });
    } catch (error) {
      const { name, message } = error instanceof Error ? error : new Error(String(error));
      reply({ ok: false, name, message });
    }
  };
  process.on("message", (request: Request) => void answer(request));
  process.once("disconnect", () => process.exit(0));
}

function reply(message: ProcessReply): void {
  process.send?.(message);
}
