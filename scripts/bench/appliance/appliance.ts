/**
 * What a person feels of the whole appliance: how soon it is there, how much it takes when idle, how fast it reads, how fast it answers,
 * how fast a change reaches an open page. Run on a quiet machine.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { api } from "../../../convex/_generated/api.js";
import { makeCorpus } from "../../../tests/fixtures/corpus.ts";
import { startLab } from "../../lab/appliance.ts";
import { handOver, idle, settled } from "../../lab/ingest.ts";

const documentCount = 1_000;
const passagesWanted = 20_000;
const dir = mkdtempSync(join(tmpdir(), "nika-bench-"));
const dataDir = join(dir, "data");

function figure(name: string, value: number, unit: string, goal?: { text: string; met: boolean }): void {
  console.log(
    JSON.stringify({
      name,
      value: Math.round(value * 100) / 100,
      unit,
      peer: null,
      ratio: null,
      goal: goal?.text ?? null,
      met: goal?.met ?? null,
    }),
  );
}
const quantile = (values: readonly number[], q: number): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * q)] ?? Number.NaN;

try {
  const corpus = makeCorpus(join(dir, "corpus"), documentCount, 1);
  let appliance = await startLab({ dataDir });
  figure("first start to healthy", appliance.startMs, "ms");
  let client = await appliance.client();

  const begun = performance.now();
  await handOver(client, join(dir, "corpus"), corpus.files);
  const { ready, passages } = await settled(client);
  const rate = ready / ((performance.now() - begun) / 1000);
  figure("documents read", rate, "documents/s", { text: ">= 50", met: rate >= 50 && ready === documentCount });
  figure("passages in the vault after reading", passages, "passages");

  // Fill up to the size the goal names, with documents of another seed.
  for (let seed = 2, held = passages; held < passagesWanted; seed++) {
    const more = makeCorpus(join(dir, `more${seed}`), documentCount, seed);
    await handOver(client, join(dir, `more${seed}`), more.files);
    held = (await settled(client)).passages;
  }
  // What follows from reading, such as finding themes, is over: a question beside it takes about twice as long.
  await idle(client);
  const times: number[] = [];
  for (let round = 0; round < 10; round++)
    for (const { question } of corpus.questions.slice(0, 20)) {
      const asked = performance.now();
      await appliance.ask(question);
      times.push(performance.now() - asked);
    }
  const p50 = quantile(times, 0.5);
  figure(`ask, p50 at ${(await settled(client)).passages} passages`, p50, "ms", { text: "<= 30", met: p50 <= 30 });
  figure("ask, p95", quantile(times, 0.95), "ms");

  await live(appliance, client);
  await appliance.stop();

  const starts: number[] = [];
  for (let i = 0; i < 5; i++) {
    appliance = await startLab({ dataDir });
    starts.push(appliance.startMs);
    if (i < 4) await appliance.stop();
  }
  const start = quantile(starts, 0.5);
  figure("start on existing data to healthy, median of 5", start, "ms", { text: "<= 1500", met: start <= 1500 });
  client = await appliance.client();
  await settled(client);
  await client.close();
  await new Promise((done) => setTimeout(done, 5_000)); // Idle means that start-up's own work is over.
  const loaded = appliance.memoryMiB();
  figure("idle memory with the data above", loaded, "MiB");
  await appliance.stop();

  appliance = await startLab({ dataDir: join(dir, "empty") });
  await new Promise((done) => setTimeout(done, 5_000));
  const fresh = appliance.memoryMiB();
  figure("idle memory of a fresh appliance", fresh, "MiB", { text: "<= 250", met: fresh <= 250 });
  await appliance.stop();
} finally {
  rmSync(dir, { recursive: true, force: true });
}

/** From the moment the mutating client knows its change is durable to the moment another client's subscription shows it. */
async function live(
  appliance: Awaited<ReturnType<typeof startLab>>,
  writer: Awaited<ReturnType<typeof appliance.client>>,
): Promise<void> {
  const reader = await appliance.client();
  const open: (() => void)[] = [];
  for (let i = 0; i < 99; i++) open.push(reader.onUpdate(api.documents.find, { name: `nobody-${i}` }, () => {}));
  let seen: (() => void) | undefined;
  let shown = "";
  open.push(
    reader.onUpdate(api.settings.get, {}, (settings) => {
      shown = settings.theme;
      seen?.();
    }),
  );
  const delays: number[] = [];
  for (let i = 0; i < 300; i++) {
    const theme = i % 2 === 0 ? "dark" : "light";
    let shownAt = 0;
    const arrived = new Promise<void>((done) => {
      seen = () => {
        if (shown !== theme) return;
        shownAt = performance.now();
        done();
      };
    });
    const sent = performance.now();
    await Promise.all([writer.mutation(api.settings.set, { theme }), arrived]);
    delays.push(shownAt - sent);
  }
  for (const close of open) close();
  const [p50, p99] = [quantile(delays, 0.5), quantile(delays, 0.99)];
  figure("mutation sent to another client's subscription, 100 open, p50", p50, "ms", { text: "<= 5", met: p50 <= 5 });
  figure("mutation sent to another client's subscription, 100 open, p99", p99, "ms", { text: "<= 50", met: p99 <= 50 });
}
