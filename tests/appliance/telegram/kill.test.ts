/** The appliance killed between sending and mirroring: nothing is lost, nothing is done twice. */
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { openFakeBotApi } from "../../fakes/botApi.ts";

type Child = { readonly ask: <T>(verb: string, argument?: string) => Promise<T>; readonly kill: () => Promise<void> };
type Looked = { readonly messages: readonly string[]; readonly posts: readonly (readonly [string, string])[] };

async function start(dir: string, url: string): Promise<Child> {
  const path = fileURLToPath(new URL("child.ts", import.meta.url));
  const child: ChildProcess = spawn(process.execPath, [path, dir, url], { stdio: ["pipe", "pipe", "inherit"] });
  const { stdin, stdout } = child;
  assert(stdin && stdout);
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  await lines.next();
  return {
    async ask<T>(verb: string, argument = "") {
      stdin.write(`${JSON.stringify([verb, argument])}\n`);
      const { value } = await lines.next();
      return JSON.parse(value as string) as T;
    },
    async kill() {
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}

test("killed with one post under way and others waiting, it shows each at most once and keeps every message", async () => {
  const dir = mkdtempSync(join(tmpdir(), "nika-telegram-kill-"));
  const bot = await openFakeBotApi();
  try {
    let child = await start(dir, bot.url);
    await child.ask("target", "homelab");
    const { link } = await child.ask<{ link: string }>("connect", bot.token);
    bot.say({ text: `/start ${new URL(link).searchParams.get("start")}` });
    await bot.showed(1);
    bot.faults.push("hang");
    await child.ask("send", "under way");
    await bot.hung();
    await child.ask("send", "waiting");
    // Written in the chat while nobody listens.
    await child.kill();
    bot.say({ text: "/send homelab from the chat" });

    child = await start(dir, bot.url);
    await bot.showed(3);
    await child.kill();
    bot.pollFaults.push("again", "again");

    child = await start(dir, bot.url);
    bot.say({ text: "/status" });
    await bot.showed(4);
    const { messages, posts } = await child.ask<Looked>("look");
    assert.deepEqual(messages, ["under way", "waiting", "from the chat"]);
    const states = new Map(posts.map(([text, state]) => [text, state]));
    assert.equal(states.get("→ homelab: under way"), "unknown", "it may have arrived, and is the owner's to send again");
    const shown = bot.shown.map(({ text }) => text.split("\n", 1)[0]);
    for (const text of ["→ homelab: waiting", "→ homelab: from the chat"])
      assert.equal(shown.filter((one) => one === text).length, 1, text);
    assert(!shown.includes("→ homelab: under way"));
    await child.kill();
  } finally {
    await bot.close();
    rmSync(dir, { recursive: true, force: true });
  }
});
