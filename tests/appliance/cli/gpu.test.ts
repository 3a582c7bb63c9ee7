import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { getFunctionName, type FunctionReference } from "convex/server";
import type { Client } from "../../../appliance/cli/client.ts";
import {
  runGpuCancel,
  runGpuFetch,
  runGpuList,
  runGpuPanic,
  runGpuQuote,
  runGpuRun,
  runGpuSpend,
} from "../../../appliance/cli/gpu.ts";
import { runGpuBills } from "../../../appliance/cli/gpuBills.ts";
import { runGpuOffers } from "../../../appliance/cli/gpuOffers.ts";
import { runGpuShow } from "../../../appliance/cli/gpuShow.ts";
import { runGpuConnect, whyNothingIsRented } from "../../../appliance/cli/gpuConnect.ts";
import { en } from "../../../appliance/web/language/en.ts";
import type { Terminal } from "../../../appliance/cli/terminal.ts";
import type { Offer } from "../../../convex/model/gpu.ts";
import type { QuoteView } from "../../../convex/model/gpuJob.ts";

const folder = mkdtempSync(join(tmpdir(), "nika-gpu-cli-"));
after(() => rm(folder, { recursive: true }));
const signal = AbortSignal.timeout(60_000);
const at = Date.UTC(2026, 10, 22);

type Replies = {
  /** By the last word of the path. */
  readonly posts?: Readonly<Record<string, unknown>>;
  readonly query?: unknown;
  readonly bills?: unknown;
  readonly machines?: unknown;
  readonly mutation?: unknown;
};

/** What the appliance would be told, and what the owner is told. */
function open({ posts = {}, query, bills = { reads: [], rows: [] }, machines, mutation }: Replies) {
  const lines: string[] = [];
  const asked: unknown[] = [];
  const terminal = {
    isInteractive: false,
    width: Infinity,
    line: (text = "") => void lines.push(text),
    note: (text: string) => void lines.push(text),
    style: (_style: unknown, text: string) => text,
  } as unknown as Terminal;
  const client = {
    token: async () => "token",
    post: async (path: string, { body }: { body?: unknown } = {}) => {
      asked.push(body);
      return posts[path.split("/").at(-1) ?? ""];
    },
    http: async () => ({
      query: async (name: FunctionReference<"query">) => {
        const [file] = getFunctionName(name).split(":");
        return file === "gpuBills" ? bills : file === "machines" ? machines : query;
      },
      mutation: async (_name: unknown, args: unknown) => {
        asked.push(args);
        return mutation;
      },
    }),
  } as unknown as Client;
  return { terminal, client, lines, asked };
}

const offer: Offer = {
  id: "here",
  provider: "local",
  type: "a container here",
  region: "here",
  form: "container",
  isInEu: true,
  cpus: 2,
  memoryMb: 18_000,
  diskMb: 60_000,
  isSpot: false,
  hourly: { micros: 0, currency: "EUR" },
  quantumMs: 1_000,
  minimumMs: 0,
  stock: "high",
  pricedAt: at,
  priceSource: "this machine is yours",
};
const free: QuoteView = {
  id: "quote" as QuoteView["id"],
  offer,
  atMost: { micros: 0, currency: "EUR" },
  until: at,
  says: "why",
  others: [],
};
const paid: QuoteView = {
  ...free,
  offer: {
    ...offer,
    provider: "scaleway",
    type: "L4-1-24G",
    hourly: { micros: 790_000, currency: "EUR" },
    priceSource: "its API",
  },
  atMost: { micros: 1_120_000, currency: "EUR" },
};
const work = { folder, words: ["sh", "x"], flags: { time: 3_600_000 }, json: false, signal };

test("a quote says that this machine costs nothing, and of a rented one its price, the most it may come to and why", async () => {
  const here = open({ posts: { quote: free } });
  await runGpuQuote(here.terminal, here.client, work);
  assert.equal(
    here.lines[0],
    "local: a container here, 2 processors, 18 GB of memory. It costs nothing (this machine is yours).",
  );
  assert.match(here.lines[1] ?? "", /^Quote quote, good until/u);

  const rented = open({ posts: { quote: paid } });
  await runGpuQuote(rented.terminal, rented.client, work);
  assert.deepEqual(rented.lines.slice(0, 3), [
    "scaleway: L4-1-24G, 2 processors, 18 GB of memory. It costs €0.79 an hour (its API).",
    "At most €1.12, should it take as long as it may.",
    "why",
  ]);
});

test("work that costs money is not begun without consent", async () => {
  const { terminal, client, asked } = open({ posts: { quote: paid } });
  await assert.rejects(runGpuRun(terminal, client, work), { message: "It costs money; say --yes." });
  assert.equal(asked.length, 1);
});

test("a folder that is not there, and a variable without a value, are refused before anything is asked", async () => {
  const { terminal, client, asked } = open({});
  await assert.rejects(runGpuQuote(terminal, client, { ...work, folder: "/nowhere" }), { code: "missing" });
  const wrong = { ...work, flags: { ...work.flags, env: ["X"] } };
  await assert.rejects(runGpuQuote(terminal, client, wrong), { message: '"X" is no variable; write NAME=value.' });
  assert.equal(asked.length, 0);
});

test("what was over before is not said to be cancelled", async () => {
  const over = open({ query: { state: "succeeded" } });
  await runGpuCancel(over.terminal, over.client, { job: "job", json: false });
  assert.deepEqual([over.lines, over.asked], [["It was over before: done."], []]);

  const running = open({ query: { state: "running", machineId: "machine" } });
  await runGpuCancel(running.terminal, running.client, { job: "job", json: false });
  assert.deepEqual(running.lines, ["It is cancelled; its machine is being ended."]);
});

test("results are not brought of what is not there, not done, or left none, and each is told apart", async () => {
  for (const [query, code, says] of [
    [null, "missing", /no such job/u],
    [{ state: "running", files: 0 }, "conflict", /not done yet: running/u],
    [{ state: "failed", files: 0 }, "missing", /left no results: failed/u],
  ] as const) {
    const { terminal, client, asked } = open({ query });
    await assert.rejects(runGpuFetch(terminal, client, { job: "job", out: folder, json: false }), { code, message: says });
    assert.deepEqual(asked, []);
  }
  const gone = open({ query: null });
  await assert.rejects(runGpuCancel(gone.terminal, gone.client, { job: "job", json: true }), { code: "missing" });
});

test("one piece of work is shown with what it costs, why each machine went, and that a scenario is simulated", async () => {
  const simulated = { ...offer, isSimulated: true, hourly: { micros: 360_000, currency: "EUR" } };
  const machine = { name: "m", offer: simulated, createdAt: at, startedAt: at };
  const query = {
    view: {
      id: "job",
      label: "train",
      state: "running",
      offer: simulated,
      spent: 1_000,
      reserved: 300_000,
      createdAt: at,
      startedAt: at,
    },
    command: ["node", "train.mjs"],
    attempts: [
      { ...machine, attempt: 1, state: "gone", why: "preempted", endedAt: at + 10_000, spent: 1_000, hourly: 0 },
      { ...machine, attempt: 2, state: "busy", spent: 0, hourly: 360_000 },
    ],
    checkpoints: [{ attempt: 1, seq: 4, at: at + 5_000 }],
    results: [],
  };
  const { terminal, client, lines } = open({ query });
  await runGpuShow(terminal, client, { job: "job", json: false, now: at + 65_000 });
  const text = lines.join("\n");
  for (const part of [
    /^train: running$/mu,
    /node train\.mjs/u,
    /€0\.0075 so far, at most €0\.30/u,
    /the newest \S+ \S+ old, of machine 1/u,
    /^1\s+local a container here \(simulated scenario\)\s+Gone: it was taken away\s+10 s\s+€0\.0010$/mu,
  ])
    assert.match(text, part);
  await assert.rejects(runGpuShow(terminal, open({ query: null }).client, { job: "x", json: false }), { code: "missing" });
});

test("a machine's state is told in the page's words: one that was made for a job works from when it dialled in", async () => {
  const machine = { name: "m", provider: "local", offer, owner: { type: "gpuJob" } };
  const machines = [
    { ...machine, state: "ready" },
    { ...machine, state: "ready", owner: { type: "lane" } },
    { ...machine, state: "gone", why: "preempted" },
  ];
  const { terminal, client, lines } = open({ query: [], machines });
  await runGpuList(terminal, client, { limit: 5, json: false });
  const told = lines.filter((line) => line !== "").map((line) => line.split(/\s{2,}|\t/u).at(-1));
  assert.deepEqual(told, [
    en.gpu.machineStates.busy,
    en.gpu.machineStates.ready,
    `${en.gpu.machineStates.gone}: it was taken away`,
  ]);
});

test("one machine is not told of as several", async () => {
  const { terminal, client, lines } = open({ mutation: 1 });
  await runGpuPanic(terminal, client, { yes: true, signal });
  assert.match(lines[0] ?? "", /^1 machine is being ended;/u);
});

const bills = {
  reads: [
    { provider: "runpod", at, readAt: at, terms: { grain: "day" } },
    { provider: "contabo", at, terms: { grain: "none", says: "Contabo's API tells no invoices." } },
  ],
  rows: [
    {
      provider: "runpod",
      period: "2026-11-21",
      verdict: "more",
      billed: 9_300_000,
      known: 3_100_000,
      others: 0,
      currency: "USD",
      unknown: [{ id: "pod-1", micros: 6_200_000 }],
      readAt: at,
      alarmAt: at,
    },
  ],
};

test("bills are told by day beside what is known, and what was seen is noted", async () => {
  const { terminal, client, lines, asked } = open({ bills, mutation: 1 });
  await runGpuBills(terminal, client, { flags: {}, json: false });
  assert.ok(
    lines.some((line) => /runpod\t2026-11-21\t9\.30 USD\t3\.10 USD known\tMORE THAN KNOWN/u.test(line)),
    lines.join("\n"),
  );
  await runGpuBills(terminal, client, { flags: { seen: "runpod" }, json: false });
  assert.deepEqual(asked.at(-1), { provider: "runpod" });
  await assert.rejects(runGpuBills(terminal, client, { flags: { seen: "nowhere" }, json: false }), { code: "invalid" });
});

test("what could be had is shown best first, with stock, chances, what it would come to and how old its price is", async () => {
  const rented = {
    ...offer,
    provider: "runpod",
    type: "L4",
    region: "EU-1",
    stock: "low",
    pricedAt: Date.now() - 120_000,
  } as Offer;
  const choice = {
    offer: { ...rented, hourly: { micros: 440_000, currency: "USD" }, priceSource: "RunPod's catalogue" },
    odds: { noCapacity: 0.4, lostHourly: 0.001, bootMs: 90_000 },
    expected: { total: 500_000 },
  };
  const found = { choices: [choice, choice], refused: [], says: "Two of them.", failures: ["aws: It did not answer."] };
  const { terminal, client, lines, asked } = open({ posts: { offers: found } });
  await runGpuOffers(terminal, client, { flags: { time: 3_600_000, gpu: 1, limit: 1 }, json: false, signal });
  assert.deepEqual((asked[0] as { need: unknown }).need, {
    gpu: { count: 1, memoryMb: 0 },
    cpus: undefined,
    isInEu: undefined,
    maySpot: undefined,
  });
  assert.match(lines[1] ?? "", /^runpod EU-1 L4\t.*\t\$0\.44\tlow\t2 min\t40 %\t0 %\t€0\.50\t2 min ago, RunPod's catalogue$/u);
  assert.deepEqual(lines.slice(2), ["And 1 more; --limit shows them.", "Two of them.", "aws: It did not answer."]);
});

test("caps are set in euros and told in words", async () => {
  const caps = { day: 5e6, month: 1e8, job: 1e7, agentDay: 1.5e6, hourly: 1e7, providerDay: { runpod: 3e6 } };
  const spend = {
    hourly: 0,
    reserved: 0,
    spentToday: 0,
    orphanWorst: 0,
    spentMonth: 0,
    machines: 1,
    suspects: 0,
    caps,
    warnings: [],
  };
  const { terminal, client, lines, asked } = open({ query: spend, bills });
  const only = { agent: 1.5, providerDay: { runpod: 3, aws: "none" } } as const;
  await runGpuSpend(terminal, client, { caps: only, json: false });
  assert.deepEqual(asked, [{ caps: { agentDay: 1_500_000, providerDay: { runpod: 3_000_000 } }, uncapped: ["aws"] }]);
  assert.equal(lines[5], "Dollars count as euros until `--rate` says what a euro is worth.");
  assert.match(lines[6] ?? "", /^Bill: runpod billed 9\.30 USD for 2026-11-21; 3\.10 USD is known here\. Something may run/u);
  assert.match(lines[7] ?? "", /Contabo's API tells no invoices/u);
  assert.match(lines[8] ?? "", /pod-1 \(6\.20 USD\)/u);
  assert.equal(lines[9], "`nika gpu bills --seen runpod` says that you saw it.");
  assert.equal(lines[4], "At runpod: at most €3.00 a day.");
  assert.equal(lines[0], "Now: €0.00 an hour, for 1 machine.");
  assert.equal(
    lines[3],
    "May be spent at most: €5.00 a day, €100.00 a month, €10.00 for a job, €1.50 a day by agents, €10.00 an hour for all machines together.",
  );
});

test("what a euro is worth is said by the owner, and told", async () => {
  const spend = {
    hourly: 0,
    reserved: 0,
    spentToday: 0,
    spentMonth: 0,
    orphanWorst: 0,
    machines: 0,
    suspects: 0,
    caps: {},
    warnings: [],
  };
  const { terminal, client, lines, asked } = open({ query: { ...spend, usdPerEur: 1.08, rateAt: at } });
  await runGpuSpend(terminal, client, { caps: { rate: 1.08 }, json: false });
  assert.deepEqual(asked, [{ usdPerEur: 1.08 }]);
  assert.ok(lines.includes("A euro counts as $1.08, as you said."), lines.join("\n"));
});

test("an account that is not in order is kept, told of, and not put to a paid test", async () => {
  const posts = {
    providers: { providers: [{ id: "runpod", isSetUp: true, wants: ["apiKey"] }] },
    connect: { checks: [{ name: "key", passed: false, says: "It is not known." }] },
  };
  const asking = { provider: "runpod", flags: {}, json: false, signal };
  const { terminal, client, lines, asked } = open({ posts });
  assert.equal(await runGpuConnect(terminal, client, asking), 1);
  assert.deepEqual(lines, [
    "no   key: It is not known.",
    "Kept. Once that is put right there, `nika gpu connect runpod` looks again.",
  ]);
  await assert.rejects(runGpuConnect(terminal, client, { ...asking, flags: { prove: true, yes: true } }), { code: "conflict" });
  assert.equal(asked.length, 4);
  await assert.rejects(runGpuConnect(terminal, client, { ...asking, provider: "nowhere" }), /is no provider; there are runpod/u);
});

test("a tailnet is connected like a provider: its fields are kept by the appliance, and what was looked at decides how it ends", async () => {
  const posts = {
    providers: { providers: [], mesh: { isSetUp: true, address: "https://nika.tail.ts.net", wants: ["clientId", "tag?"] } },
    connectMesh: { checks: [{ name: "address", passed: false, says: "Nika does not answer there." }] },
    disconnectMesh: {},
  };
  const asking = { provider: "tailscale", flags: {}, json: false, signal };
  const { terminal, client, lines } = open({ posts });
  assert.equal(await runGpuConnect(terminal, client, asking), 1);
  assert.equal(await runGpuConnect(terminal, client, { ...asking, flags: { forget: true } }), 0);
  assert.deepEqual(lines, ["no   address: Nika does not answer there.", "tailscale is forgotten."]);
  await assert.rejects(runGpuConnect(terminal, client, { ...asking, flags: { prove: true } }), { code: "invalid" });
});

for (const [what, runpod, says] of [
  ["nobody rents", { isSetUp: false, isReached: true }, /No provider that rents is set up/u],
  ["nothing rented could reach Nika", { isSetUp: true, isReached: false }, /NIKA_PUBLIC_URL/u],
] as const)
  test(`that nothing can be rented is told when ${what}`, async () => {
    const local = { id: "local", isSetUp: true, isReached: true, wants: [] };
    const { client } = open({ posts: { providers: { providers: [local, { id: "runpod", wants: ["apiKey"], ...runpod }] } } });
    assert.match((await whyNothingIsRented(client)) ?? "", says);
  });
