/**
 * Deploys apps that nobody here wrote to the embedded engine and calls what they offer: `node scripts/conformance/demos.ts FOLDER [WORD…]`.
 * FOLDER holds checked-out apps, each with a `convex` folder, such as Convex's own demos; words narrow them by name. Packages come from
 * an app's own node_modules, else from ours. Every public function is called twice round with arguments made from its validators, so
 * that the second time there are rows to name. Prints what came of it; fails when a push fails, or the engine at anything.
 */
import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { ConvexHttpClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";
import { openEngine, type Engine } from "../../appliance/engine/engine.ts";

type Validator =
  | {
      readonly type: "object";
      readonly value: Readonly<Record<string, { readonly fieldType: Validator; readonly optional: boolean }>>;
    }
  | { readonly type: "union"; readonly value: readonly Validator[] }
  | { readonly type: "literal"; readonly value: unknown }
  | { readonly type: "id"; readonly tableName: string }
  | { readonly type: "array" | "record" | "any" | "null" | "number" | "bigint" | "boolean" | "string" | "bytes" };
type Spec = {
  readonly functionType: "Query" | "Mutation" | "Action" | "HttpAction";
  readonly identifier?: string;
  readonly args?: Validator;
  readonly visibility?: { readonly kind: string };
};
type Caller = { setAdminAuth(key: string): void };

const ours = fileURLToPath(new URL("../../node_modules", import.meta.url));
const adminKey = "demos|00";
const pushMs = 120_000;
const callMs = 15_000;

const [folder, ...words] = process.argv.slice(2);
if (folder === undefined) {
  console.error("Give a folder of checked-out apps.");
  process.exit(2);
}
const apps = readdirSync(folder)
  .filter((name) => existsSync(join(folder, name, "convex")) && (words.length === 0 || words.some((word) => name.includes(word))))
  .toSorted();
if (apps.length === 0) console.error(`There is no app in ${folder}.`);
let failures = apps.length === 0 ? 1 : 0;
for (const name of apps) if (!(await tryApp(name, resolve(folder, name)))) failures++;
console.log(`${apps.length - failures} of ${apps.length} apps deployed without a fault of the engine`);
process.exit(failures > 0 ? 1 : 0);

async function tryApp(name: string, source: string): Promise<boolean> {
  const place = mkdtempSync(join(tmpdir(), "nika-demo-"));
  const project = join(place, "app");
  cpSync(source, project, { recursive: true, filter: (path) => !/\/(node_modules|\.git)(\/|$)/.test(path) });
  const own = join(source, "node_modules");
  symlinkSync(existsSync(own) ? own : ours, join(project, "node_modules"));
  ensureManifest(project, name);
  const faults: string[] = [];
  const served = await serve(join(place, "data"), (line) => {
    if (/internal error|at .*appliance\/engine/i.test(line)) faults.push(line);
  });
  try {
    console.log(`\n${name}`);
    const pushed = await convex(project, served.url, ["deploy", "--typecheck", "disable"]);
    if (pushed.code !== 0) {
      console.log(`  not deployed: ${reasonOf(pushed.text)}`);
      return false;
    }
    await callAll(served.url);
    for (const fault of faults) console.log(`  FAULT ${fault}`);
    return faults.length === 0;
  } finally {
    await served.close();
    rmSync(place, { recursive: true, force: true });
  }
}

function ensureManifest(project: string, name: string): void {
  const path = join(project, "package.json");
  const manifest = existsSync(path)
    ? (JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>)
    : { name, type: "module" };
  const dependencies = { ...(manifest["dependencies"] as object | undefined), convex: "*" };
  writeFileSync(path, JSON.stringify({ ...manifest, dependencies }));
}

async function serve(dir: string, log: (line: string) => void) {
  let engine: Engine | undefined;
  const server = createServer((request, response) => {
    if (!engine?.handle(request, response)) response.writeHead(404).end();
  });
  server.on("upgrade", (request, socket: Socket, head) => {
    if (!engine?.upgrade(request, socket, head)) socket.destroy();
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  engine = await openEngine({ dir, env: {}, adminKey, origin: () => url, log });
  const opened = engine;
  return {
    url,
    close: async () => {
      await opened.close();
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

function convex(cwd: string, url: string, args: readonly string[]): Promise<{ readonly code: number; readonly text: string }> {
  return new Promise((done) => {
    const child = spawn(process.execPath, [join(ours, "convex/bin/main.js"), ...args], {
      cwd,
      timeout: pushMs,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: process.env["PATH"],
        HOME: cwd,
        CI: "1",
        NO_COLOR: "1",
        CONVEX_SELF_HOSTED_URL: url,
        CONVEX_SELF_HOSTED_ADMIN_KEY: adminKey,
      },
    });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (part: Buffer) => (text += part.toString()));
    child.on("close", (code) => done({ code: code ?? 1, text }));
  });
}

/** The lines that say why, without what the command line prints on the way. */
function reasonOf(text: string): string {
  const lines = text.split("\n").filter((line) => /✖|✘|error|400|not supported|Could not/i.test(line));
  return (lines.length > 0 ? lines : text.trim().split("\n").slice(-3)).slice(0, 3).join(" | ").slice(0, 400);
}

async function callAll(url: string): Promise<void> {
  const client = new ConvexHttpClient(url, { logger: false });
  (client as unknown as Caller).setAdminAuth(adminKey);
  const specs = (await client.query(makeFunctionReference<"query">("_system/cli/modules:apiSpec"), {})) as Spec[];
  for (const round of [1, 2])
    for (const { functionType, identifier, args, visibility } of specs) {
      if (functionType === "HttpAction" || identifier === undefined || visibility?.kind !== "public") continue;
      const given = (await valueFor(client, args ?? { type: "any" })) as Record<string, never>;
      const told = await outcomeOf(async () => {
        if (functionType === "Query") return client.query(makeFunctionReference<"query">(identifier), given);
        if (functionType === "Mutation") return client.mutation(makeFunctionReference<"mutation">(identifier), given);
        return client.action(makeFunctionReference<"action">(identifier), given);
      });
      if (round === 2) console.log(`  ${functionType.toLowerCase()} ${identifier} ${told}`);
    }
  for (const spec of specs) {
    if (spec.functionType !== "HttpAction") continue;
    const { method, path } = spec as unknown as { method: string; path: string };
    const response = await fetch(`${url}/http${path.replace(/\*$/, "x")}`, {
      method,
      ...(method === "GET" ? {} : { body: "{}" }),
      signal: AbortSignal.timeout(callMs),
    });
    console.log(`  http ${method} ${path} ${response.status} ${(await response.text()).slice(0, 80)}`);
  }
}

async function outcomeOf(work: () => Promise<unknown>): Promise<string> {
  const late = AbortSignal.timeout(callMs);
  const told = new Promise<string>((done) => late.addEventListener("abort", () => done("did not end")));
  const text = async (): Promise<string> => {
    try {
      return `→ ${(JSON.stringify(await work(), (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value)) ?? "undefined").slice(0, 100)}`;
    } catch (error) {
      const [, second = ""] = (error as Error).message.split("\n");
      return `✗ ${second.slice(0, 160)}`;
    }
  };
  return Promise.race([text(), told]);
}

/** Something that the validator takes; ids of rows that there are. */
async function valueFor(client: ConvexHttpClient, validator: Validator): Promise<unknown> {
  switch (validator.type) {
    case "object": {
      const fields: Record<string, unknown> = {};
      for (const [key, { fieldType, optional }] of Object.entries(validator.value))
        if (!optional) fields[key] = await valueFor(client, fieldType);
      return fields;
    }
    case "union":
      return validator.value.some((one) => one.type === "null") ? null : valueFor(client, validator.value[0] ?? { type: "null" });
    case "literal":
      return validator.value;
    case "id":
      return idIn(client, validator.tableName);
    case "array":
      return [];
    case "record":
    case "any":
      return {};
    case "number":
      return 3;
    case "bigint":
      return 3n;
    case "boolean":
      return true;
    case "bytes":
      return new ArrayBuffer(2);
    case "string":
      return "hello";
    case "null":
      return null;
  }
}

async function idIn(client: ConvexHttpClient, table: string): Promise<unknown> {
  const wanted = { table, order: "desc", paginationOpts: { cursor: null, numItems: 1 } };
  const { page } = (await client.query(makeFunctionReference<"query">("_system/cli/tableData"), wanted)) as {
    page: { _id: string }[];
  };
  return page[0]?._id ?? "none";
}
