/** What `nika functions new` writes: the smallest thing that runs, and what one needs to know about it. */
export function templates(name: string): Readonly<Record<"node" | "python", Readonly<Record<string, string>>>> {
  const manifest = (language: string): string =>
    `${JSON.stringify(
      { language, limits: { memoryMiB: 256, cpus: 1, timeLimitMs: 30_000 }, egress: [], concurrency: 2, attempts: 3 },
      undefined,
      2,
    )}\n`;
  return {
    node: {
      "index.ts": `/**
 * ${name}: called with whatever JSON it is given, answers with JSON.
 *
 * It runs in a sandbox: no network but what "egress" in function.json lists, no files but its own, 256 MiB, half a minute a call.
 * The sandbox stays warm between calls, so what stands outside the handler is kept for a while, and must not be relied on.
 * A call that fails is tried again, up to "attempts" times; throw an error with \`retry: false\` when that is no use.
 */
type Input = { name?: string } | null;
type Context = {
  id: string;
  attempt: number;
  trigger: "owner" | "call" | "schedule" | "webhook" | "agent";
  signal: AbortSignal;
  log(...said: unknown[]): void;
  progress(done: number, total: number): void;
};

export default async (input: Input, ctx: Context) => {
  ctx.log("called by", ctx.trigger);
  return { greeting: \`Hello, \${input?.name ?? "you"}!\` };
};
`,
      "function.json": manifest("node"),
    },
    python: {
      "main.py": `# ${name}: called with whatever JSON it is given, answers with JSON.
#
# It runs in a sandbox: no network but what "egress" in function.json lists, no files but its own, 256 MiB, half a minute a call.
# The sandbox stays warm between calls, so what stands outside the handler is kept for a while, and must not be relied on.
# A call that fails is tried again, up to "attempts" times; set \`retry = False\` on the exception when that is no use.


def handler(input, ctx):
    ctx.log("called by", ctx.trigger)
    name = (input or {}).get("name", "you")
    return {"greeting": f"Hello, {name}!"}
`,
      "function.json": manifest("python"),
    },
  };
}
