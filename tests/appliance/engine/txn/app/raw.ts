import { actionGeneric as action, mutationGeneric as mutation, queryGeneric as query } from "convex/server";
import { v } from "convex/values";

type Global = {
  syscall(op: string, args: string): string;
  asyncSyscall(op: string, args: string): Promise<string>;
  jsSyscall(op: string, args: object): unknown;
};

/** What the engine says to an operation with arguments that mean nothing; "done" when it did it all the same. */
async function answerTo(op: string): Promise<string> {
  const { Convex } = globalThis as unknown as { Convex: Global };
  const isJs = !op.startsWith("1.0/");
  const isSync = ["queryStream", "queryCleanup", "db/normalizeId", "getSnapshotTs"].includes(op.slice(4));
  try {
    if (isJs) await Convex.jsSyscall(op, { blob: new Blob(["x"]), storageId: "none" });
    else if (isSync) Convex.syscall(op, "{}");
    else await Convex.asyncSyscall(op, "{}");
    return "done";
  } catch (error) {
    return (error as Error).message;
  }
}

const args = { ops: v.array(v.string()) };
const each = async (ops: string[]): Promise<string[]> => {
  const answers: string[] = [];
  for (const op of ops) answers.push(await answerTo(op));
  return answers;
};
export const inQuery = query({ args, handler: async (_ctx, { ops }) => each(ops) });
export const inMutation = mutation({ args, handler: async (_ctx, { ops }) => each(ops) });
export const inAction = action({ args, handler: async (_ctx, { ops }) => each(ops) });
