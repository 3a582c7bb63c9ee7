/**
 * From nothing to listening: with data on the disk (`--mb N`, 100 by default; `--full`: 1000), and with an app of sixty modules
 * that was never seen before (bundled, analysed, its schema applied) and again when nothing has changed. Whole processes, Node's own
 * start included. `--rounds N`.
 */
import { execFile } from "node:child_process";
import { mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { ConvexClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";
import { adminKey, noApp, scratch, startEngine } from "./parts/engineHost.ts";
import { atMost, quantile, report, sizeOf } from "./parts/figure.ts";

const mb = sizeOf("mb", 100, 1000);
const rounds = sizeOf("rounds", 5);
const modules = 60;
const modulesDir = join(import.meta.dirname, "..", "..", "..", "node_modules");
const run = promisify(execFile);
const rowChars = 10_000;
const perFill = 500;
const fill = makeFunctionReference<"mutation", { size: number; from: number; count: number; chars: number }, null>("rows:fill");

const dir = await scratch("start");
const first = await startEngine({ dir });
const client = new ConvexClient(first.url, { logger: false });
for (let from = 0; from < (mb * 1e6) / rowChars; from += perFill)
  await client.mutation(fill, { size: 1, from, count: perFill, chars: rowChars });
await client.close();
await first.stop();
report({ name: `cold start with ${mb} MB, p50`, value: await startMs(dir), unit: "ms", goal: atMost(800) });
await rm(dir, { recursive: true });

// Inside the repository, so that the modules find the packages they import.
const app = join(import.meta.dirname, "_app", "..", "_sixty");
await mkdir(app, { recursive: true });
try {
  const schema = Array.from({ length: modules }, (_, i) => `  t${i}: defineTable({ n: v.number() }).index("n", ["n"]),`);
  const imports = 'import { defineSchema, defineTable } from "convex/server";\nimport { v } from "convex/values";\n';
  await writeFile(join(app, "schema.ts"), `${imports}export default defineSchema({\n${schema.join("\n")}\n});\n`);
  for (let i = 0; i < modules; i++) await writeFile(join(app, `m${i}.ts`), moduleText(i));
  const fresh: number[] = [];
  for (let i = 0; i < Math.min(rounds, 3); i++) {
    const empty = await scratch("deploy");
    const engine = await startEngine({ dir: empty, app });
    fresh.push(engine.startMs);
    await engine.stop();
    if (i === 0) report({ name: `start with ${modules} modules, unchanged, p50`, value: await startMs(empty, app), unit: "ms" });
    await rm(empty, { recursive: true });
  }
  report({ name: `start with ${modules} modules never seen, p50`, value: quantile(fresh, 0.5), unit: "ms", goal: atMost(2000) });
  const pushes: number[] = [];
  for (let i = 0; i < Math.min(rounds, 3); i++) pushes.push(await pushMs(app));
  report({ name: `npx convex deploy of ${modules} modules, p50`, value: quantile(pushes, 0.5), unit: "ms" });
  const bare: number[] = [];
  for (let i = 0; i < Math.min(rounds, 3); i++) bare.push(await commandLineMs(app, ["deploy", "--help"]));
  report({ name: "of which the command line's own start takes, p50", value: quantile(bare, 0.5), unit: "ms" });
} finally {
  await rm(app, { recursive: true, force: true });
}

/** Convex's own command line against an engine that knows no app yet, without the type checker. */
async function pushMs(app: string): Promise<number> {
  await using engine = await startEngine({ app: noApp });
  const ms = await commandLineMs(app, ["deploy", "--yes", "--typecheck", "disable", "--codegen", "disable"], engine.url);
  return ms;
}

async function commandLineMs(app: string, words: readonly string[], url = ""): Promise<number> {
  const folder = await scratch("project");
  await symlink(app, join(folder, "convex"));
  await symlink(modulesDir, join(folder, "node_modules"));
  await writeFile(
    join(folder, "package.json"),
    '{"name":"project","private":true,"type":"module","dependencies":{"convex":"*"}}',
  );
  const env = {
    PATH: process.env["PATH"],
    HOME: folder,
    CI: "1",
    CONVEX_SELF_HOSTED_URL: url,
    CONVEX_SELF_HOSTED_ADMIN_KEY: adminKey,
  };
  const startedAt = performance.now();
  await run(process.execPath, [join(modulesDir, "convex/bin/main.js"), ...words], { cwd: folder, env });
  const ms = performance.now() - startedAt;
  await rm(folder, { recursive: true });
  return ms;
}

async function startMs(from: string, functions?: string): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const engine = await startEngine({ dir: from, ...(functions !== undefined && { app: functions }) });
    times.push(engine.startMs);
    await engine.stop();
  }
  return quantile(times, 0.5);
}

function moduleText(i: number): string {
  const functions = Array.from(
    { length: 5 },
    (_, k) => `
export const read${k} = queryGeneric({
  args: { n: v.number() },
  handler: (ctx, { n }) => ctx.db.query("t${i}").withIndex("n", (q) => q.eq("n", n)).take(10),
});
export const write${k} = mutationGeneric({ args: { n: v.number() }, handler: (ctx, { n }) => ctx.db.insert("t${i}", { n }) });`,
  );
  return `import { mutationGeneric, queryGeneric } from "convex/server";\nimport { v } from "convex/values";\n${functions.join("\n")}\n`;
}
