/** Every way that is known of doing harm by mistake, for any kind of function. */
const ways: Readonly<Record<string, () => unknown>> = {
  loop: () => {
    for (;;);
  },
  heap: () => {
    const held: unknown[] = [];
    for (;;) held.push(Array.from({ length: 1e5 }, (_, at) => ({ at })));
  },
  buffers: () => {
    const held: unknown[] = [];
    for (;;) held.push(new Uint8Array(2e7).fill(1));
  },
  never: () => new Promise(() => {}),
  exit: () => (globalThis as unknown as Program).process.exit(3),
  abort: () => (globalThis as unknown as Program).process.abort(),
  // What native code that crashes comes to.
  signal: () => {
    const { process } = globalThis as unknown as Program;
    return process.kill(process.pid, "SIGSEGV") && new Promise(() => {});
  },
  deep: () => {
    const sink = (depth: number): number => sink(depth + 1) + 1;
    return sink(0);
  },
  hugeResult: () => Array.from({ length: 5000 }, () => "x".repeat(4000)),
  throwsAnything: () => {
    // oxlint-disable-next-line typescript/only-throw-error -- what is no error is the point
    throw { not: "an error" };
  },
  lostRejection: async () => {
    void Promise.reject(new Error("nobody listens"));
    await Promise.resolve();
    return "fine";
  },
  lostThrow: () => {
    setTimeout(() => {
      throw new Error("nobody catches");
    }, 1);
    return new Promise(() => {});
  },
};
type Program = {
  readonly process: { exit(code: number): never; abort(): never; readonly pid: number; kill(pid: number, signal: string): true };
};

export function misbehave(way: string): unknown {
  const found = ways[way];
  if (!found) throw new Error(`There is no such way: ${way}`);
  return found();
}
