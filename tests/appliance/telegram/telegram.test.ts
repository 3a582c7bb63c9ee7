/** The chat that mirrors the bridge, against a stand-in that speaks the Bot API and breaks on demand. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { toToken } from "../../../appliance/telegram/botApi.ts";
import { toHtml } from "../../../appliance/telegram/html.ts";
import { openSecrets } from "../../../appliance/secrets/store.ts";
import { openTelegram, type Telegram } from "../../../appliance/telegram/telegram.ts";
import { api, internal } from "../../../convex/_generated/api.js";
import type { Id } from "../../../convex/_generated/dataModel.js";
import { toPosts, toWish } from "../../../convex/model/telegram.ts";
import { openFakeBotApi, type FakeBotApi } from "../../fakes/botApi.ts";
import { openFakeState, type FakeState } from "../../fakes/state.ts";
import { only } from "../../contracts/lab.ts";

type Room = {
  readonly state: FakeState;
  readonly bot: FakeBotApi;
  readonly dataDir: string;
  readonly log: string[];
  telegram: Telegram;
  readonly reopen: () => Promise<Telegram>;
};

async function open(t: TestContext, ...targets: string[]): Promise<Room> {
  const state = openFakeState();
  const bot = await openFakeBotApi();
  const dataDir = mkdtempSync(join(tmpdir(), "nika-telegram-"));
  const log: string[] = [];
  const reopen = async (): Promise<Telegram> =>
    openTelegram({
      state,
      secrets: await openSecrets({ dataDir, tenantKeyFile: undefined, tenantId: "owner", now: () => Date.now() }),
      apiRoot: bot.url,
      upload: (bytes) => state.run((ctx) => ctx.storage.store(new Blob([bytes as Uint8Array<ArrayBuffer>]))),
      log: (line) => log.push(line),
      gapMs: 0,
      troubledMs: 5,
    });
  const room: Room = { state, bot, dataDir, log, telegram: await reopen(), reopen };
  t.after(async () => {
    await bot.close();
    await room.telegram.close();
    rmSync(dataDir, { recursive: true, force: true });
  });
  for (const name of targets) await state.owner.mutation(api.bridge.addTarget, { name });
  return room;
}

/** Connected, and its chat says so: the first post. */
async function openPaired(t: TestContext, ...targets: string[]): Promise<Room> {
  const room = await open(t, ...targets);
  const { link } = await room.telegram.connect(room.bot.token);
  room.bot.say({ text: `/start ${new URL(link).searchParams.get("start")}` });
  await room.bot.showed(1);
  return room;
}

const send = (state: FakeState, text: string, target = "homelab") =>
  state.mutation(internal.bridge.deliver, { text, target, from: "claude" });
const messages = async (state: FakeState) => (await state.owner.query(api.bridge.messages, {})).toReversed();
const settled = (state: FakeState, expected: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const stop = state.owner.watch(
      api.telegram.posts,
      {},
      (posts) => {
        if (
          posts
            .map((post) => post.state)
            .toReversed()
            .join() !== expected
        )
          return;
        stop();
        resolve();
      },
      reject,
    );
  });

test("only the chat that has the link becomes the mirror, and strangers are not even answered", async (t) => {
  const { state, bot, telegram } = await open(t, "homelab");
  const { link, isPaired, botName } = await telegram.connect(`  ${bot.token}\n`);
  assert.deepEqual([isPaired, botName], [false, "nika_test_bot"]);
  const code = new URL(link).searchParams.get("start");
  bot.say({ text: "/start guessed", chatId: 666 });
  bot.say({ text: `/start ${code}`, chatId: -5, isGroup: true });
  bot.say({ text: `/start ${code}` });
  bot.say({ text: "/send homelab format the disk", chatId: 666 });
  bot.say({ text: `/start ${code}`, chatId: 666 });
  bot.say({ text: "/status" });
  const shown = await bot.showed(2);
  assert.deepEqual(new Set(shown.map(({ chatId }) => chatId)), new Set([42]));
  assert.match(shown[1]?.text ?? "", /^homelab: 0 waiting/u);
  assert.deepEqual(await messages(state), []);
});

test("the token is kept encrypted, and in clear in neither the disk, the control plane nor the log", async (t) => {
  const { state, bot, dataDir, log, telegram } = await openPaired(t, "homelab");
  const path = join(dataDir, "secrets", "owner", "telegram.age");
  assert(!readFileSync(path).includes(bot.token));
  assert.equal(statSync(path).mode & 0o777, 0o600);
  bot.pollFaults.push("drop", "drop", "conflict");
  bot.say({ text: "/status" });
  await bot.showed(2);
  const rows = await state.run(async (ctx) => [
    await ctx.db.query("telegram").collect(),
    await ctx.db.query("telegramPosts").collect(),
  ]);
  assert(!JSON.stringify([rows, log]).includes(bot.token));
  await telegram.disconnect();
  assert.throws(() => statSync(path));
  assert.equal(await state.owner.query(api.telegram.status, {}), null);
});

test("a token is digits, a colon and letters alone: no line that merely holds one", () => {
  const token = `123456789:${"aZ0_-".repeat(7)}`;
  assert.equal(toToken(` ${token}\r\n`), token);
  for (const text of [
    "",
    "bot",
    `bot_token=${token}`,
    `# robot\n${token}`,
    `${token}\n${token}`,
    "123456789:short",
    `bot${token}`,
  ])
    assert.throws(() => toToken(text), { code: "invalid" });
});

test("a token that Telegram does not know is refused, and nothing is kept", async (t) => {
  const { telegram, dataDir, state } = await open(t);
  await assert.rejects(telegram.connect(`987654321:${"B".repeat(35)}`), { code: "denied" });
  assert.throws(() => statSync(join(dataDir, "secrets", "owner", "telegram.age")));
  assert.equal(await state.owner.query(api.telegram.status, {}), null);
});

test("messages and reports are shown in order, whatever characters they hold, and long ones in pieces", async (t) => {
  const { state, bot } = await openPaired(t, "homelab");
  const { id } = await send(state, "Fix <b>_*DNS* & [links](x `");
  const long = "word 🐢 ".repeat(1_200).trim();
  await state.mutation(internal.bridge.say, { verb: "update", messageId: id, text: long });
  await state.mutation(internal.bridge.say, { verb: "complete", messageId: id, text: "a < b && c > d" });
  const shown = await bot.showed(6);
  assert.equal(shown[1]?.text, "→ homelab: Fix <b>_*DNS* & [links](x `");
  assert.equal(shown[1]?.html, "<b>→ homelab:</b> Fix &lt;b&gt;_*DNS* &amp; [links](x `");
  const pieces = shown.slice(2, -1).map(({ text }) => text);
  assert.equal(pieces.join(" "), `homelab · ${long}`);
  assert(pieces.every((text) => text.length <= 4096));
  assert.equal(shown.at(-1)?.text, "homelab ✓ a < b && c > d");
});

test("an answer goes to the agent of the message it answers, whatever else is in progress", async (t) => {
  const { state, bot } = await openPaired(t, "homelab", "nexus:felt");
  const first = await send(state, "First");
  const second = await send(state, "Second", "nexus:felt");
  await state.mutation(internal.bridge.say, { verb: "start", messageId: first.id });
  const shown = await bot.showed(3);
  const aboutSecond = shown.find(({ text }) => text.includes("Second"));
  bot.say({ text: "Use the other branch", replyTo: aboutSecond?.id ?? 0 });
  await bot.showed(4);
  const answer = (await messages(state)).at(-1);
  assert.deepEqual([answer?.target, answer?.replyTo, answer?.from], ["nexus:felt", second.id, "telegram"]);
  // Shown with its agent, as an answer to what was written.
  assert.equal(bot.shown[3]?.text, "→ nexus:felt: Use the other branch");
  bot.say({ text: "What about this?", replyTo: 999 });
  await bot.showed(5);
  assert.equal((await messages(state)).length, 3, "an answer to nothing known goes nowhere");
  bot.say({ text: "Hello?" });
  assert.match((await bot.showed(6))[5]?.text ?? "", /^Say which target/u);
});

test("a person may stand in for an agent, by answering its messages", async (t) => {
  const { state, bot } = await openPaired(t, "homelab");
  await send(state, "Other");
  const { id } = await send(state, "Mine");
  const mine = (await bot.showed(3)).find(({ text }) => text.includes("Mine"))?.id ?? 0;
  bot.say({ text: "/begin", replyTo: mine });
  bot.say({ text: "/update half way", replyTo: mine });
  bot.say({ text: "/complete all done", replyTo: mine });
  bot.say({ text: "/complete lost" });
  const shown = await bot.showed(6);
  assert.match(shown[5]?.text ?? "", /^Answer one/u);
  const { updates } = await state.mutation(internal.bridge.pull, { consumer: "c" });
  assert.deepEqual(
    updates.map(({ messageId, text, type }) => [messageId, text, type]),
    [
      [id, "half way", "update"],
      [id, "all done", "complete"],
    ],
  );
});

test("commands send, stop and tell how it stands", async (t) => {
  const { state, bot } = await openPaired(t, "homelab", "felt");
  bot.say({ text: "/send homelab restart the proxy" });
  bot.say({ text: "/send homelab restart the proxy" });
  bot.say({ text: "/stop" });
  bot.say({ text: "/send nobody hello" });
  bot.say({ text: "/what" });
  const shown = await bot.showed(7);
  assert.deepEqual(
    shown.slice(1).map(({ text }) => text.split("\n", 1)[0]),
    [
      "→ homelab: restart the proxy",
      "homelab has this already.",
      "→ homelab ‼: STOP",
      "→ felt ‼: STOP",
      "There is no target nobody; there are homelab, felt.",
      "Answer a message to write to its agent.",
    ],
  );
  const next = await state.query(internal.bridge.next, { target: "homelab" });
  assert.deepEqual([next.message?.text, next.message?.isUrgent], ["STOP", true]);
});

test("what comes twice or out of order, through breaks and waits, is done once and in order", async (t) => {
  const { state, bot } = await openPaired(t, "homelab");
  bot.pollFaults.push("reverse");
  for (let i = 1; i <= 3; i++) bot.say({ text: `/send homelab task ${i}` });
  await bot.showed(4);
  bot.pollFaults.push("again", "drop", "tooMany", "again");
  bot.say({ text: "/send homelab task 4" });
  await bot.showed(5);
  bot.say({ text: "/status" });
  await bot.showed(6);
  assert.deepEqual(
    (await messages(state)).map(({ text }) => text),
    ["task 1", "task 2", "task 3", "task 4"],
  );
});

test("ids that begin anew after a quiet week are new messages", async (t) => {
  const { state } = await openPaired(t, "homelab");
  const inbound = { chatId: 42, isPrivate: true, chatMessageId: 90, text: "/send homelab after the pause" };
  const receive = () => state.mutation(internal.telegramInbox.receive, { inbound: { ...inbound, updateId: 1_000 } });
  assert.deepEqual([await receive(), await receive()], [true, false]);
  assert.equal((await state.query(internal.telegram.place, {}))?.offset, 1_001);
  assert.equal((await messages(state)).length, 1);
});

test("a post that Telegram asks to wait with is shown later; one whose answer is lost is unknown and not sent again", async (t) => {
  const { state, bot, telegram } = await openPaired(t, "homelab");
  bot.faults.push("tooMany", "tooMany");
  await send(state, "waits");
  await bot.showed(2);
  bot.faults.push("dropAfter");
  await send(state, "arrived");
  await bot.showed(3);
  bot.faults.push("dropBefore");
  await send(state, "never arrived");
  bot.faults.push("stumble");
  await send(state, "stumbled over");
  await send(state, "fine");
  await bot.showed(4);
  await settled(state, "sent,sent,unknown,unknown,unknown,sent");
  const status = await state.owner.query(api.telegram.status, {});
  assert.deepEqual([status?.waiting, status?.failed, status?.unknown], [0, 0, 3]);
  assert.deepEqual(
    bot.shown.slice(1).map(({ text }) => text),
    ["→ homelab: waits", "→ homelab: arrived", "→ homelab: fine"],
  );
  assert.equal((await messages(state)).length, 5, "the queue has them all");
  assert.equal(await state.owner.mutation(api.telegram.resend, {}), 3);
  await bot.showed(7);
  await telegram.close();
});

test("after a start, what waited is shown once and what was being sent is unknown", async (t) => {
  const room = await openPaired(t, "homelab");
  const { state, bot } = room;
  bot.faults.push("hang");
  await send(state, "under way");
  await bot.hung();
  await send(state, "waiting");
  await room.telegram.close();
  room.telegram = await room.reopen();
  await bot.showed(2);
  await settled(state, "sent,unknown,sent");
  assert.equal(bot.shown[1]?.text, "→ homelab: waiting");
});

test("files of the chat become documents", async (t) => {
  const { state, bot } = await openPaired(t, "homelab");
  const document = { name: "note.txt", bytes: Buffer.from("The lease ends in May.") };
  bot.say({ document });
  assert.equal((await bot.showed(2))[1]?.text, "Kept: note.txt");
  bot.say({ document, text: "/send homelab read this" });
  const shown = (await bot.showed(4)).slice(2).map(({ text }) => text);
  assert.deepEqual(shown.toSorted(), ["Known already: note.txt", "→ homelab: read this"].toSorted());
  const documents = await state.run(async (ctx) => ctx.db.query("documents").collect());
  const stored = only(documents);
  assert.equal(stored.name, "note.txt");
  const text = await state.run(async (ctx) => (await ctx.storage.get(stored.storageId as Id<"_storage">))?.text());
  assert.equal(text, "The lease ends in May.");
});

test("while no bot is connected nothing is noted for one", async (t) => {
  const { state, bot } = await open(t, "homelab");
  await send(state, "quiet");
  assert.deepEqual(await state.owner.query(api.telegram.posts, {}), []);
  assert.deepEqual(bot.calls, {});
});

test("long texts are cut where lines or words end, and never inside a character", () => {
  assert.deepEqual(toPosts("one\ntwo", 100), ["one\ntwo"]);
  assert.deepEqual(toPosts("aaaa bbbb cccc", 10), ["aaaa bbbb", "cccc"]);
  assert.deepEqual(toPosts("a\nbbbbbbb\ncc", 10), ["a\nbbbbbbb", "cc"]);
  assert.deepEqual(toPosts("🐢🐢🐢", 3), ["🐢", "🐢", "🐢"]);
  assert.deepEqual(toPosts("  "), []);
});

test("words of the chat are read as commands only where they begin with one", () => {
  assert.deepEqual(toWish("/send homelab do\nit"), { type: "send", target: "homelab", text: "do\nit" });
  assert.deepEqual(toWish("/send@nika_bot homelab x"), { type: "send", target: "homelab", text: "x" });
  assert.deepEqual(toWish("/stop"), { type: "stop", target: undefined });
  assert.deepEqual(toWish("stop it"), { type: "say", text: "stop it" });
  assert.deepEqual(toWish("/begin"), { type: "act", verb: "start", text: "" });
  assert.deepEqual(toWish("/send homelab"), { type: "help" });
});

test("a name in front stands out only when it is the agent's", () => {
  assert.equal(toHtml("homelab · <step>", "homelab"), "<b>homelab</b> · &lt;step&gt;");
  assert.equal(toHtml("a & b"), "a &amp; b");
});
