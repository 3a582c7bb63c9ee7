/** What a run did beside what its code asks for now, for people to read. */
import type { RunProblem, StepRecord, StepSpec } from "../../convex/model/run.ts";

const contextMax = 3;

/** `asked` is undefined when nothing more is asked for although steps are left. Lines are of one scope, in its order. */
export function changedProblem(
  recorded: readonly StepRecord[],
  { scope, n, asked }: { readonly scope: string; readonly n: number; readonly asked: StepSpec | undefined },
): RunProblem {
  const own = recorded.filter((step) => step.scope === scope).toSorted((a, b) => a.n - b.n);
  const was = own[n];
  const isSame = asked !== undefined && was?.path === asked.path && was.type === asked.type;
  const before = own.slice(Math.max(0, n - contextMax), n).map((step) => `  ${lineOf(step)}`);
  const gone = own.slice(n, n + 1 + contextMax).map((step) => `- ${lineOf(step, isSame)}, ${stateOf(step)}`);
  const more = own.length - n - gone.length;
  const diff = [
    ...before,
    ...(isSame ? gone.slice(0, 1) : gone),
    ...(more > 0 && !isSame ? [`  … and ${more} more`] : []),
    ...(asked ? [`+ ${lineOf(asked, isSame)}`] : ["+ (its end)"]),
  ];
  return { type: "changed", message: sentence(was, asked), diff };
}

function sentence(was: StepRecord | undefined, asked: StepSpec | undefined): string {
  if (!was) return "Its code asks for other steps than the ones it took.";
  if (!asked) return `Its code no longer asks for “${was.path}”, which it has begun before.`;
  if (was.path === asked.path && was.type === asked.type)
    return `Its code asks for “${asked.path}” with another input than before.`;
  return `Its code asks for “${asked.path}” where it did “${was.path}” before.`;
}

const nameOf = { step: "step", sleep: "sleep", signal: "signal", run: "run" } as const;

function lineOf({ n, type, path, inputHash = "none" }: StepSpec, isInputTold = false): string {
  return `${n + 1}. ${nameOf[type]} ${path}${isInputTold ? ` (input ${inputHash.slice(0, 8)})` : ""}`;
}

const stateOf = ({ state }: StepRecord): string =>
  ({ ready: "to be tried again", started: "begun", waiting: "waiting", done: "done", failed: "failed", cancelled: "stopped" })[
    state
  ];
