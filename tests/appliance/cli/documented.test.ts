import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";
import type { Command } from "commander";
import type { Context } from "../../../appliance/cli/context.ts";
import { buildProgram } from "../../../appliance/cli/program.ts";

const program = buildProgram({ signal: new AbortController().signal } as Context);

/** Commands as documents name them: between backticks, or a line of their own, whose second column says what they do. */
function* named(text: string): Generator<string> {
  for (const line of text.split("\n"))
    for (const [, inline, own] of line.matchAll(/`nika ([a-z][^`|;]*)|^ +nika ([a-z](?:[^ |;#>]| (?! ))*)/g))
      yield (inline ?? own ?? "").trim();
}

/** What is wrong with it; undefined when there is such a command with such flags. */
function wrongIn(text: string): string | undefined {
  const words = text.match(/"[^"]*"|\S+/g) ?? [];
  let command: Command = program;
  const flags = new Set(["--help", "--data"]);
  for (const word of words) {
    const next = command.commands.find((one) => one.name() === word || one.aliases().includes(word));
    if (next) command = next;
    else if (command.commands.length > 0 && command.registeredArguments.length === 0 && /^[a-z]+$/.test(word))
      return `no ${word} in ${text}`;
    if (!next) break;
  }
  for (let one: Command | null = command; one; one = one.parent)
    for (const { long, short } of one.options) for (const flag of [long, short]) if (flag) flags.add(flag);
  for (const word of words) {
    if (word === "--") break;
    const flag = /^--?[a-z][a-z-]*/.exec(word)?.[0];
    if (flag && !flags.has(flag)) return `no ${flag} in ${text}`;
  }
  return command === program ? `no such command: ${text}` : undefined;
}

test("every command that a document names exists, with its flags", () => {
  const files = ["README.md", "CONTRIBUTING.md", ...globSync("docs/**/*.md")];
  const commands = files.flatMap((file) => [...named(readFileSync(file, "utf8"))].map((text) => ({ file, text })));
  assert.ok(commands.length > 200, `only ${commands.length} were found`);
  const wrong = commands.flatMap(({ file, text }) => {
    const problem = wrongIn(text);
    return problem === undefined ? [] : [`${file}: ${problem}`];
  });
  assert.deepEqual(wrong, []);
});

test("a command or flag that there is not would be found", () => {
  assert.match(wrongIn("serach words") ?? "", /no serach/);
  assert.match(wrongIn("ask --colour") ?? "", /no --colour/);
  assert.equal(wrongIn('ask --limit 3 "how much?"'), undefined);
});
