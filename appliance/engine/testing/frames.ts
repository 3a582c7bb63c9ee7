/**
 * Who is asking. Functions that run in the test's own realm share one global `Convex`; their async context tells them apart, so that
 * many may run at once, and so that another engine's tests (convex-test's among them) may live in the same process.
 */
import { AsyncLocalStorage } from "node:async_hooks";

/** A running function, as its syscalls see it. */
export type Frame = {
  /** Tells one test's engine from another's. */
  readonly owner: object;
  /** Whether what is asked belongs to a transaction that is open now. */
  readonly isTransaction: boolean;
  syscall(op: string, args: string): string;
  asyncSyscall(op: string, args: string): Promise<string>;
  jsSyscall(op: string, args: Readonly<Record<string, unknown>>): unknown;
};

type ConvexGlobal = Pick<Frame, "syscall" | "asyncSyscall" | "jsSyscall">;

const frames = new AsyncLocalStorage<Frame>();
const realm = globalThis as { Convex?: ConvexGlobal };
let previous: ConvexGlobal | undefined;

const asking = (): ConvexGlobal => {
  const one = frames.getStore() ?? previous;
  if (!one) throw new Error("This can only be called while a function of the app is running.");
  return one;
};

const own: ConvexGlobal = {
  syscall: (op, args) => asking().syscall(op, args),
  asyncSyscall: (op, args) => asking().asyncSyscall(op, args),
  jsSyscall: (op, args) => asking().jsSyscall(op, args),
};

/** Runs `work` so that everything asked in it, however much later, is asked of `frame`. */
export function within<T>(frame: Frame, work: () => T): T {
  if (realm.Convex !== own) {
    previous = realm.Convex;
    realm.Convex = own;
  }
  return frames.run(frame, work);
}

export function currentFrame(owner: object): Frame | undefined {
  const frame = frames.getStore();
  return frame?.owner === owner ? frame : undefined;
}

/** An answer in the letters of `exec/bootstrap.ts`, as the app's code gets it: the text, or an error thrown. */
export function unwrapped(answer: string): string {
  if (answer[0] === "=") return answer.slice(1);
  if (answer[0] === "!") throw new Error(answer.slice(1));
  const [message, data] = JSON.parse(answer.slice(1)) as [string, unknown];
  throw Object.assign(new Error(message), { data });
}
