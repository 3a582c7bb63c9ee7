/** What `nika functions new` writes is what the appliance serves; what is wrong with a name or a folder is said before anything is done. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readSource } from "../../../appliance/owned/source.ts";
import { openPlace, outputOf } from "../owned/place.ts";
import { nika } from "./command.ts";
import { scratchDir } from "./scratch.ts";

const dir = scratchDir();

test("a new function is a folder that answers as it stands, in both languages", async () => {
  await using place = await openPlace();
  const folder = join(place.dataDir, "functions");
  for (const [name, ...flags] of [["hello"], ["bonjour", "--python"]] as const) {
    const { code, stderr, stdout } = await nika(["functions", "new", name, ...flags, "--dir", folder]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, new RegExp(`${name}: (?:index\\.ts|main\\.py), function\\.json`));
    await place.until(name, ({ state }) => state === "serving");
    assert.deepEqual(outputOf(await place.call(name, { name: "Ada" })), { greeting: "Hello, Ada!" });
  }
});

test("a new function never writes over what is there, and has a name that can be an address", async () => {
  await nika(["functions", "new", "mine"], { cwd: dir });
  writeFileSync(join(dir, "mine/index.ts"), "export default () => 'work of a day';");
  const again = await nika(["functions", "new", "mine"], { cwd: dir });
  assert.equal(again.code, 75);
  assert.match(again.stderr, /is there already/);
  assert.match(readFileSync(join(dir, "mine/index.ts"), "utf8"), /work of a day/);
  const bad = await nika(["functions", "new", "../Up"], { cwd: dir });
  assert.equal(bad.code, 65);
  assert.match(bad.stderr, /small letters, digits and hyphens/);
  assert.equal(existsSync(join(dir, "../Up")), false);
});

test("the same files are the same version wherever they lie, and other bytes are another", async () => {
  await nika(["functions", "new", "twin"], { cwd: dir });
  const first = await readSource(join(dir, "twin"), "twin");
  await nika(["functions", "new", "twin", "--dir", "elsewhere"], { cwd: dir });
  assert.equal((await readSource(join(dir, "elsewhere/twin"), "twin")).version, first.version);
  writeFileSync(join(dir, "elsewhere/twin/extra.ts"), "");
  assert.notEqual((await readSource(join(dir, "elsewhere/twin"), "twin")).version, first.version);
  rmSync(join(dir, "elsewhere"), { recursive: true });
});
