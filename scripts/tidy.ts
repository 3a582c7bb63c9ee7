/**
 * The rules of the house that a program can check: who may import whom, no cycle, one home per library, one reader of the environment,
 * no bucket files. Prints how much it looked at and fails when that is nothing, because a green check that saw no file is worse than none.
 */
import { globSync, readFileSync } from "node:fs";
import { basename, posix } from "node:path";
import { parseSync } from "oxc-parser";

/** Imports point left: convex/model ← ml ← functions ← appliance ← scripts. Tests see everything. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  convex: [],
  ml: ["convex/model/"],
  functions: ["convex/model/", "convex/_generated/", "ml/"],
  appliance: ["convex/model/", "convex/_generated/", "ml/", "functions/"],
  scripts: ["*"],
  tests: ["*"],
};

/** Inside a shelf, folders do not know each other; these are the words and seams that all of a shelf may use. */
const sharedWithinShelf: Readonly<Record<string, readonly string[]>> = {
  convex: ["*"],
  ml: ["ml/parse/", "ml/chunk/", "ml/retrieve/", "ml/embed/", "ml/time/", "ml/dataset/", "ml/evaluate/"],
  functions: ["functions/define.ts", "functions/defineRun.ts", "functions/ports/"],
  // The command line starts the appliance, so it may know main.
  appliance: [
    "appliance/config.ts",
    "appliance/main.ts",
    "appliance/worker.ts",
    "appliance/nodeFlags.ts",
    "appliance/state.ts",
    "appliance/backup.ts",
    "appliance/secrets/",
    "appliance/processes/",
    // Folders of the owner's, handed over by the command line and followed by the watch.
    "appliance/folder/",
    // Whoever offers tools to agents speaks through it.
    "appliance/mcp/",
    // The command line hands functions over by the same reading by which they are served.
    "appliance/owned/source.ts",
    // Accounts at providers are looked through, and machines ended, also while Nika is down.
    "appliance/gpuAlone.ts",
    // The tools of the bridge are the same over a pipe, which the command line holds.
    "appliance/bridge/tools.ts",
    // Whoever holds code that nobody trusts lets it out through the gate.
    "appliance/egress/",
    // The command line looks at what holds, also while Nika is down.
    "appliance/docker/sandboxes.ts",
    // Models elsewhere are spoken to in one way, whether they look or write.
    "appliance/vision/chat.ts",
    // Cron starts the command line, which then does what the appliance wrote down.
    "appliance/host/",
  ],
};

/** Each third-party library is imported by one folder, so that replacing it is a one-folder change. */
const homes: Readonly<Record<string, readonly string[]>> = {
  // The seam itself: words on the left, clients on the right.
  convex: [
    "convex/",
    "functions/",
    "appliance/state.ts",
    "appliance/join/",
    "appliance/cli/",
    "appliance/web/",
    "appliance/engine/testing/",
  ],
  "@qdrant/js-client-rest": ["appliance/qdrant/"],
  "@fastify/busboy": ["appliance/vectors/"],
  dockerode: ["appliance/docker/"],
  ssh2: ["appliance/gpu/ssh/"],
  "age-encryption": ["appliance/secrets/"],
  "@xenova/transformers": ["appliance/embedder/"],
  ws: ["appliance/engine/"],
  // Tokens of others are verified there; a service account signs for its own here.
  jose: ["appliance/engine/", "appliance/embedder/"],
  esbuild: ["appliance/engine/"],
  "pdfjs-dist": ["ml/parse/"],
  "@napi-rs/canvas": ["ml/parse/"],
  sharp: ["ml/parse/"],
  "zxing-wasm": ["ml/parse/"],
  "libphonenumber-js": ["ml/parse/"],
  "tesseract.js-core": ["appliance/ocr/"],
  "@tesseract.js-data/eng": ["appliance/ocr/"],
  "@tesseract.js-data/fra": ["appliance/ocr/"],
  htmlparser2: ["ml/parse/"],
  yauzl: ["ml/parse/"],
  // What owners hand over is unpacked there; images of sandboxes are packed here.
  "modern-tar": ["ml/parse/", "appliance/docker/"],
  numfmt: ["ml/parse/"],
  "@e965/xlsx": ["ml/parse/"],
  "word-extractor": ["ml/parse/"],
  "ical.js": ["ml/parse/"],
  "postal-mime": ["ml/parse/"],
  // Documents of an owner, and imports of rows: the engine may not know the parsers of documents.
  "csv-parse": ["ml/parse/", "appliance/engine/"],
  parse5: ["ml/parse/"],
  marked: ["ml/parse/"],
  eld: ["ml/retrieve/"],
  commander: ["appliance/cli/"],
  "cli-progress": ["appliance/cli/"],
  qrcode: ["appliance/cli/"],
  "@modelcontextprotocol/client": ["appliance/mcp/"],
  "@modelcontextprotocol/server": ["appliance/mcp/"],
  // Documents of services that servers are made from.
  "@scalar/openapi-upgrader": ["appliance/mcp/build/"],
  yaml: ["appliance/mcp/build/"],
  "smol-toml": ["appliance/mcp/build/"],
  "oidc-provider": ["appliance/mcp/"],
  "@aws-sdk/client-ec2": ["appliance/gpu/aws/"],
  "@smithy/signature-v4": ["appliance/gpu/aws/"],
  "@scaleway/sdk-client": ["appliance/gpu/scaleway/"],
  "@scaleway/sdk-instance": ["appliance/gpu/scaleway/"],
  "@scaleway/sdk-block": ["appliance/gpu/scaleway/"],
  "@scaleway/sdk-iam": ["appliance/gpu/scaleway/"],
  grammy: ["appliance/telegram/"],
  systeminformation: ["appliance/cli/", "appliance/host/"],
  react: ["appliance/web/"],
  "react-dom": ["appliance/web/"],
  vite: ["appliance/web/"],
  "@vitejs/plugin-react": ["appliance/web/"],
};

const bucketNames = new Set([
  "utils",
  "util",
  "helpers",
  "helper",
  "common",
  "types",
  "interfaces",
  "services",
  "managers",
  "misc",
]);
/** auth.config.ts reads the deployment's variables, which is Convex's own way. */
const environmentReaders = new Set([
  "appliance/config.ts",
  "convex/auth.config.ts",
  // Inside a sandbox: the environment is that of the program it becomes.
  "appliance/docker/guest/enter.ts",
  // A program of its own once it is copied into a server that was made.
  "appliance/mcp/build/template/src/server.ts",
  // The same, on a machine that works for Nika.
  "appliance/gpu/agent/guest/agent.ts",
]);

/** `type` is gone when the program runs; `later` is loaded on purpose when it is wanted, so it cannot be part of a circle at the start. */
type Import = { readonly from: string; readonly to: string; readonly when: "start" | "type" | "later" };

const files = globSync("{convex,ml,functions,appliance,scripts,tests}/**/*.{ts,tsx}", {
  exclude: (path) => /node_modules|_generated|\/dist\/|tests\/fixtures\/engineApp/.test(path),
}).map((path) => path.replaceAll("\\", "/"));

const problems: string[] = [];
const inner: Import[] = [];
let importCount = 0;

for (const file of files) {
  const text = readFileSync(file, "utf8");
  for (const found of importsOf(file, text)) {
    importCount++;
    if (found.to.startsWith(".")) inner.push({ ...found, to: posix.normalize(posix.join(posix.dirname(file), found.to)) });
    else checkHome(file, found.to);
  }
  if (/process\.env\b/.test(text) && !environmentReaders.has(file) && !/^(scripts|tests)\//.test(file))
    problems.push(`${file}: only appliance/config.ts reads the environment`);
  const name = basename(file).replace(/\.(d\.)?tsx?$/, "");
  if (bucketNames.has(name)) problems.push(`${file}: a bucket name says nothing; name the idea`);
  if (!/^[a-zA-Z0-9]+(\.[a-z]+)*$/.test(name)) problems.push(`${file}: files are camelCase`);
}
for (const { from, to } of inner) checkDirection(from, to);
const atStart = cycles(inner.filter(({ when }) => when === "start"));
const withTypes = cycles(inner.filter(({ when }) => when !== "later"));
for (const cycle of new Set([...atStart, ...withTypes].map((cycle) => cycle.join(" → "))))
  problems.push(`import cycle: ${cycle}`);
checkHomesAreLived();

if (files.length === 0 || importCount === 0) problems.push("tidy looked at nothing: its globs are wrong");
for (const problem of problems) console.error(problem);
console.log(`tidy: ${files.length} files, ${importCount} imports, ${problems.length} problems`);
process.exitCode = problems.length > 0 ? 1 : 0;

function* importsOf(file: string, text: string): Generator<Import> {
  const parsed = parseSync(file, text);
  for (const error of parsed.errors) problems.push(`${file}: ${error.message}`);
  const { staticImports, staticExports, dynamicImports } = parsed.module;
  for (const one of staticImports)
    yield {
      from: file,
      to: one.moduleRequest.value,
      when: one.entries.length > 0 && one.entries.every((entry) => entry.isType) ? "type" : "start",
    };
  for (const one of staticExports)
    for (const entry of one.entries)
      if (entry.moduleRequest) yield { from: file, to: entry.moduleRequest.value, when: entry.isType ? "type" : "start" };
  for (const one of dynamicImports) {
    const literal = /^["'](.+)["']$/.exec(text.slice(one.moduleRequest.start, one.moduleRequest.end));
    if (literal?.[1]) yield { from: file, to: literal[1], when: "later" };
  }
}

function checkDirection(from: string, to: string): void {
  const shelf = from.split("/")[0] ?? "";
  const target = to.split("/")[0] ?? "";
  if (shelf === "tests" || shelf === "scripts") return;
  if (target !== shelf) {
    const allowed = mayImport[shelf] ?? [];
    if (!allowed.some((prefix) => prefix === "*" || to.startsWith(prefix)))
      problems.push(`${from}: ${shelf} may not import ${to}`);
    return;
  }
  const [fromRoom, toRoom] = [roomOf(from), roomOf(to)];
  // Files on top of a shelf (main.ts, registry.ts) are where its rooms are joined.
  if (fromRoom === toRoom || fromRoom === undefined) return;
  const shared = sharedWithinShelf[shelf] ?? [];
  if (!shared.some((prefix) => prefix === "*" || to.startsWith(prefix)))
    problems.push(`${from}: rooms of a shelf do not import each other (${to})`);
}

function roomOf(path: string): string | undefined {
  const parts = path.split("/");
  return parts.length > 2 ? parts.slice(0, 2).join("/") : undefined;
}

function checkHome(file: string, request: string): void {
  if (request.startsWith("node:") || /^(scripts|tests)\//.test(file)) return;
  const library = request.startsWith("@") ? request.split("/").slice(0, 2).join("/") : (request.split("/")[0] ?? request);
  const home = homes[library];
  if (!home) problems.push(`${file}: ${library} has no home; add it to scripts/tidy.ts with a reason`);
  else if (!home.some((prefix) => file.startsWith(prefix))) problems.push(`${file}: ${library} lives in ${home.join(", ")}`);
}

function checkHomesAreLived(): void {
  const { dependencies } = JSON.parse(readFileSync("package.json", "utf8")) as { dependencies: Record<string, string> };
  for (const library of Object.keys(homes))
    if (!(library in dependencies)) problems.push(`${library} has a home but is no dependency`);
}

/** Each cycle once, by depth-first search. */
function cycles(imports: readonly Import[]): string[][] {
  const next = new Map<string, string[]>();
  for (const { from, to } of imports) next.set(from, [...(next.get(from) ?? []), to]);
  const found: string[][] = [];
  const done = new Set<string>();
  const walk = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) {
      found.push([...path.slice(path.indexOf(file)), file]);
      return;
    }
    if (done.has(file)) return;
    for (const to of next.get(file) ?? []) walk(to, [...path, file]);
    done.add(file);
  };
  for (const file of next.keys()) walk(file, []);
  return found;
}
