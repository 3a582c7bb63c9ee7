import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { zstdDecompressSync } from "node:zlib";
import { archiveName, packNika } from "../../../appliance/join/parcel.ts";

const root = mkdtempSync(join(tmpdir(), "nikaParcel"));
after(() => rmSync(root, { recursive: true, force: true }));

function put(at: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(at, name)), { recursive: true });
    writeFileSync(join(at, name), text);
  }
}

/** An installation of a few files: a worker that loads two libraries, and a command that loads a third. */
function installation(name: string): string {
  const at = join(root, name);
  const other = process.platform === "darwin" ? "win32" : "darwin";
  const lock = {
    packages: {
      "": {},
      "node_modules/reads": { dependencies: { inner: "1", typescript: "1" } },
      "node_modules/reads/node_modules/inner": {},
      "node_modules/inner": {},
      "node_modules/typescript": {},
      "node_modules/cloud": {},
      "node_modules/@words/fra": {},
    },
  };
  put(at, {
    "package.json": JSON.stringify({ dependencies: { reads: "1", cloud: "1", "@words/fra": "1" } }),
    "package-lock.json": JSON.stringify(lock),
    "appliance/cli/nika.ts": 'import "./program.ts";',
    "appliance/cli/program.ts": 'export const clouds = () => import("./clouds.ts");',
    "appliance/cli/clouds.ts": 'import "cloud";',
    "appliance/cli/worker.ts": 'import { work } from "../worker.ts";',
    "appliance/worker.ts": 'const entry = new URL("reader/process.ts", import.meta.url);',
    "appliance/reader/process.ts": 'import read from "reads";\nconst words = `@words/${language}`;',
    "appliance/web/page.tsx": 'import "cloud";',
    "convex/one.ts": "",
    "functions/one.ts": "",
    "ml/one.json": "{}",
    "node_modules/reads/index.js": "",
    "node_modules/reads/index.d.ts": "",
    [`node_modules/reads/bin/${process.platform}/${process.arch}/code.node`]: "ours",
    [`node_modules/reads/bin/${other}/x64/code.node`]: "theirs",
    "node_modules/reads/node_modules/inner/index.js": "",
    "node_modules/inner/index.js": "",
    "node_modules/typescript/index.js": "",
    "node_modules/cloud/index.js": "",
    "node_modules/@words/fra/data.gz": "",
  });
  return at;
}

test("what is packed is what a worker loads, of this make of machine; the same installation gives the same bytes, another one another parcel", async () => {
  const one = installation("one");
  const dir = await packNika({ rootDir: one, cacheDir: join(root, "cacheOne") });
  const input = zstdDecompressSync(readFileSync(join(dir, archiveName)));
  const listed = execFileSync("tar", ["-tf", "-"], { input, encoding: "utf8" }).trim().split("\n");
  assert.deepEqual(
    listed.filter((file) => !file.startsWith("appliance/") && !file.startsWith("package")),
    [
      "convex/one.ts",
      "functions/one.ts",
      "ml/one.json",
      "node_modules/@words/fra/data.gz",
      `node_modules/reads/bin/${process.platform}/${process.arch}/code.node`,
      "node_modules/reads/index.js",
      "node_modules/reads/node_modules/inner/index.js",
    ],
  );
  assert.ok(!listed.some((file) => file.startsWith("appliance/web/")));

  const other = installation("other");
  utimesSync(join(other, "ml/one.json"), 1, 1);
  const again = await packNika({ rootDir: other, cacheDir: join(root, "cacheOther") });
  assert.deepEqual(readFileSync(join(again, archiveName)), readFileSync(join(dir, archiveName)));
  assert.equal(await packNika({ rootDir: other, cacheDir: join(root, "cacheOther") }), again);
  put(other, { "ml/one.json": "[]" });
  assert.notEqual(await packNika({ rootDir: other, cacheDir: join(root, "cacheOther") }), again);
});

test("without tar nothing is packed, and that is said", async () => {
  const rootDir = installation("untarred");
  const path = process.env["PATH"];
  process.env["PATH"] = root;
  try {
    await assert.rejects(packNika({ rootDir, cacheDir: join(root, "cacheNone") }), { code: "unavailable", message: /tar/u });
  } finally {
    process.env["PATH"] = path;
  }
});
