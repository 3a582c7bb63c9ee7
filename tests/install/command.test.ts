import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { launcher, quoted } from "../../scripts/install/command.ts";

test("a quoted word means itself to a shell", () => {
  for (const word of ["/home/me/.nika", "it's", 'a "b" $c `d` \\', "", "a b", "*"]) {
    const said = execFileSync("sh", ["-c", `printf %s ${quoted(word)}`], { encoding: "utf8" });
    assert.equal(said, word);
  }
});

test("what the launcher sets, the caller's environment overrides", () => {
  const script = launcher("/p", 7000).replace(/^exec .*$/m, 'printf "%s %s" "$NIKA_DATA" "$NIKA_PORT"');
  const env = { PATH: process.env["PATH"] };
  assert.equal(execFileSync("sh", ["-c", script], { encoding: "utf8", env }), "/p/data 7000");
  const mine = { ...env, NIKA_DATA: "/mine", NIKA_PORT: "1" };
  assert.equal(execFileSync("sh", ["-c", script], { encoding: "utf8", env: mine }), "/mine 1");
});

test("without a chosen port the launcher leaves the port to the appliance", () => {
  assert.doesNotMatch(launcher("/p", undefined), /NIKA_PORT/);
});
