import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { isNikaError } from "../../../convex/model/error.ts";
import { nameCharsMax, toName, walk, type Found } from "../../../appliance/folder/walk.ts";
import { asOrdinaryUser, scratchDir } from "../cli/scratch.ts";

/** A folder "notes" with the given files in it. */
function notes(files: Readonly<Record<string, string>>): string {
  const root = join(scratchDir(), "notes");
  mkdirSync(root);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(root, name, ".."), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return root;
}

async function found(root: string): Promise<Found[]> {
  return Array.fromAsync(walk(root));
}

/** "file notes/a.md", "problem notes/b: empty" */
async function shown(root: string): Promise<string[]> {
  return (await found(root)).map((entry) => {
    if (entry.type === "file") return `file ${entry.name}`;
    return `${entry.type} ${entry.name}: ${entry.type === "problem" ? entry.problem : entry.why}`;
  });
}

test("a folder is walked in one fixed order, under names that begin with its own", async () => {
  const root = notes({ "b.md": "b", "a/two.md": "2", "a/one.md": "1", "Z.md": "z" });
  assert.deepEqual(await shown(root), ["file notes/Z.md", "file notes/a/one.md", "file notes/a/two.md", "file notes/b.md"]);
  assert.deepEqual(await shown(`${root}/`), await shown(root));
});

test("a single file goes by its own name", async () => {
  assert.deepEqual(await shown(join(notes({ "a.md": "a" }), "a.md")), ["file a.md"]);
});

test("nothing there is said by name", async () => {
  await assert.rejects(found("/no/such/place"), (error) => {
    assert.ok(isNikaError(error));
    assert.equal(error.code, "missing");
    assert.equal(error.message, 'There is nothing at "/no/such/place".');
    return true;
  });
});

test("hidden files and tools' folders are left out, and said to be", async () => {
  const root = notes({ ".git/config": "x", ".env": "x", "node_modules/p/index.js": "x", "a.md": "a" });
  assert.deepEqual(await shown(root), [
    "skipped notes/.env: hidden",
    "skipped notes/.git: hidden",
    "file notes/a.md",
    "skipped notes/node_modules: tooling",
  ]);
});

test("a hidden folder that was named is walked", async () => {
  const root = notes({ ".journal/day.md": "x" });
  assert.deepEqual(await shown(join(root, ".journal")), ["file .journal/day.md"]);
});

test("an empty file and one too large are told by their size alone", async () => {
  const root = notes({ "empty.md": "", "large.md": "x" });
  truncateSync(join(root, "large.md"), 64 * 1024 * 1024 + 1);
  assert.deepEqual(await shown(root), ["problem notes/empty.md: empty", "problem notes/large.md: tooLarge"]);
});

test("links that lead back are reported and cannot trap the walk", async () => {
  const root = notes({ "sub/a.md": "a" });
  symlinkSync("..", join(root, "sub", "up"));
  symlinkSync("self", join(root, "self"));
  symlinkSync(".", join(root, "here"));
  assert.deepEqual(await shown(root), [
    "problem notes/here: linkLoop",
    "problem notes/self: linkLoop",
    "file notes/sub/a.md",
    "problem notes/sub/up: linkLoop",
  ]);
});

test("a link to a file counts once, a link to a folder elsewhere is not followed, a dead link says so", async () => {
  const elsewhere = notes({ "secret.md": "s", "far.md": "f" });
  const root = notes({ "a.md": "a", "sub/b.md": "b" });
  symlinkSync("a.md", join(root, "0 link to a"));
  symlinkSync(join(elsewhere, "far.md"), join(root, "0 link to far"));
  symlinkSync(join(elsewhere, "far.md"), join(root, "1 link to far"));
  symlinkSync(elsewhere, join(root, "elsewhere"));
  symlinkSync("sub", join(root, "same"));
  symlinkSync("nothing", join(root, "dead"));
  assert.deepEqual(await shown(root), [
    "file notes/a.md",
    "problem notes/dead: vanished",
    "skipped notes/elsewhere: outside",
    "file notes/sub/b.md",
    "file notes/0 link to far",
  ]);
});

test("a root that is itself a link is followed", async () => {
  const root = notes({ "a.md": "a" });
  symlinkSync(root, join(root, "..", "mine"));
  assert.deepEqual(await shown(join(root, "..", "mine")), ["file mine/a.md"]);
});

test("a pipe and a device are not opened", async () => {
  const root = notes({ "a.md": "a" });
  execFileSync("/usr/bin/mkfifo", [join(root, "pipe")]);
  symlinkSync("/dev/null", join(root, "null"));
  assert.deepEqual(await shown(root), ["file notes/a.md", "problem notes/pipe: notAFile", "problem notes/null: notAFile"]);
});

test("a folder that may not be read is one problem, and the rest goes on", async () => {
  const root = notes({ "closed/a.md": "a", "open.md": "o" });
  chmodSync(join(root, "closed"), 0);
  const seen = await asOrdinaryUser(() => shown(root));
  assert.deepEqual(seen, ["problem notes/closed/: noPermission", "file notes/open.md"]);
});

test("a name that is not valid UTF-8 still leads to its file", async () => {
  const root = notes({});
  writeFileSync(Buffer.concat([Buffer.from(`${root}/caf`), Buffer.from([0xe9]), Buffer.from(".md")]), "x");
  const [entry] = await found(root);
  assert.equal(entry?.type, "file");
  assert.equal(entry?.name, "notes/caf\uFFFD.md");
});

test("a name carries no control characters and keeps its end when it is long", async () => {
  const root = notes({ "two\nlines\u001B[31m\u202Egpj.md": "x" });
  assert.deepEqual(await shown(root), ["file notes/two\uFFFDlines\uFFFD[31m\uFFFDgpj.md"]);
  const long = toName(`${"folder/".repeat(200)}the end.md`);
  assert.equal(long.length, nameCharsMax);
  assert.match(long, /^….*folder\/the end\.md$/);
});
