/**
 * A person's folder handed over at once: how fast it is read, how much memory that takes, and whether the page and answers stay quick all
 * the while. 1,000 files of 100 MB; with `--full` 10,000 files of 1 GB, which takes a while and wants a quiet machine; `--files=N` for a look.
 */
import { randomFillSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unzipSync, zipSync } from "fflate";
import { api } from "../../../convex/_generated/api.js";
import type { BatchView } from "../../../convex/model/batch.ts";
import { makeCorpus } from "../../../tests/fixtures/corpus.ts";
import { startLab, type LabAppliance } from "../../lab/appliance.ts";
import { handOver } from "../../lab/ingest.ts";

const isFull = process.argv.includes("--full");
const asked = Number(process.argv.find((word) => word.startsWith("--files="))?.slice("--files=".length));
const documentCount = asked > 0 ? asked : isFull ? 10_000 : 1_000;
const bytesWanted = documentCount * 100_000;
const memoryMiBGoal = 800;
const dir = mkdtempSync(join(tmpdir(), "nika-ingest-"));

function figure(name: string, value: number, unit: string, goal?: { text: string; met: boolean }): void {
  const told = { goal: goal?.text ?? null, met: goal?.met ?? null };
  console.log(JSON.stringify({ name, value: Math.round(value * 100) / 100, unit, peer: null, ratio: null, ...told }));
}
const quantile = (values: readonly number[], q: number): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * q)] ?? Number.NaN;

try {
  const corpus = makeCorpus(join(dir, "corpus"), documentCount, 1);
  const sizeBytes = weigh(join(dir, "corpus"), corpus.files);
  // Whatever else runs here must not slow it down by itself: that is measured elsewhere.
  const appliance = await startLab({ dataDir: join(dir, "data"), environment: { NIKA_POLITE: "no" } });
  const client = await appliance.client();
  const id = await client.mutation(api.batches.open, { label: "corpus", origin: "command", isReviewed: false });
  const looking = look(appliance);

  const begun = performance.now();
  await handOver(client, join(dir, "corpus"), corpus.files, { batchId: id });
  const handedOverMs = performance.now() - begun;
  await client.mutation(api.batches.close, { id });
  const batch = await new Promise<BatchView>((resolve, reject) => {
    const stop = client.onUpdate(
      api.batches.summary,
      { id },
      (summary) => {
        if (!summary || summary.batch.sums.waiting + summary.batch.sums.reading > 0) return;
        stop();
        resolve(summary.batch);
      },
      reject,
    );
  });
  const seconds = (performance.now() - begun) / 1_000;
  const { memory, live, answered } = await looking.end();

  const { ready, unreadable, passages } = batch.sums;
  figure("documents", documentCount, "documents");
  figure("bytes", sizeBytes / 1e6, "MB");
  figure("handed over", (sizeBytes / 1e6 / handedOverMs) * 1_000, "MB/s");
  figure("read, from the first byte sent to the last passage stored", documentCount / seconds, "documents/s");
  figure("the same", sizeBytes / 1e6 / seconds, "MB/s");
  figure("passages", passages / seconds, "passages/s");
  figure("ready", ready, "documents", { text: `${documentCount}`, met: ready === documentCount && unreadable === 0 });
  const most = Math.max(...memory);
  figure("memory of all processes, most", most, "MiB", { text: `<= ${memoryMiBGoal}`, met: most <= memoryMiBGoal });
  figure("memory of all processes, median", quantile(memory, 0.5), "MiB");
  // What a document leaves behind shows between the time when everything had been started and the end.
  const tenth = Math.ceil(memory.length / 10);
  figure("memory in the second tenth of the time, median", quantile(memory.slice(tenth, 2 * tenth), 0.5), "MiB");
  figure("memory in the last tenth of the time, median", quantile(memory.slice(-tenth), 0.5), "MiB");
  figure("a change shown on another page meanwhile, p50", quantile(live, 0.5), "ms");
  figure("a change shown on another page meanwhile, p99", quantile(live, 0.99), "ms");
  figure("a question answered meanwhile, p50", quantile(answered, 0.5), "ms");
  figure("a question answered meanwhile, p95", quantile(answered, 0.95), "ms");
  await appliance.stop();
} finally {
  rmSync(dir, { recursive: true, force: true });
}
process.exit();

/**
 * Brings the folder to its size as people's folders come to theirs: by what is embedded in documents and attached to mails, not by text.
 * What it weighs in the end, in bytes.
 */
function weigh(folder: string, names: readonly string[]): number {
  const heavy = names.filter((name) => /\.(?:docx|eml)$/u.test(name));
  const held = names.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  const each = Math.max(0, Math.round((bytesWanted - held) / heavy.length));
  for (const name of heavy) {
    const path = join(folder, name);
    if (name.endsWith(".docx")) {
      const parts = { ...unzipSync(readFileSync(path)), "word/embeddings/data.bin": randomFillSync(new Uint8Array(each)) };
      writeFileSync(path, zipSync(parts, { level: 0 }));
    } else {
      const bytes = randomFillSync(Buffer.alloc(Math.round((each * 3) / 4)));
      const lines = bytes.toString("base64").match(/.{1,76}/gu) ?? [];
      const head = ["Content-Type: application/octet-stream", 'Content-Disposition: attachment; filename="data.bin"'];
      const part = [...head, "Content-Transfer-Encoding: base64", "", ...lines].join("\r\n");
      const mail = readFileSync(path, "latin1");
      writeFileSync(
        path,
        mail.replace(/--nika-part--\s*$/u, () => `--nika-part\r\n${part}\r\n--nika-part--\r\n`),
        "latin1",
      );
    }
  }
  return names.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

/** Looks on while the work goes on: memory, how soon another page shows a change, how soon a question is answered. */
function look(appliance: LabAppliance): { end(): Promise<{ memory: number[]; live: number[]; answered: number[] }> } {
  const [memory, live, answered]: [number[], number[], number[]] = [[], [], []];
  const over = new AbortController();
  const watching = (async () => {
    const [writer, reader] = [await appliance.client(), await appliance.client()];
    let seen: ((theme: string) => void) | undefined;
    const stop = reader.onUpdate(api.settings.get, {}, ({ theme }) => seen?.(theme));
    for (let round = 0; !over.signal.aborted; round += 1) {
      // Looking costs the kernel a walk through all pages; once a second is enough to see what stays.
      if (round % 4 === 0) memory.push(appliance.memoryMiB());
      const theme = round % 2 === 0 ? "dark" : "light";
      const begun = performance.now();
      const shown = new Promise<void>((done) => (seen = (now) => now === theme && done()));
      await Promise.all([writer.mutation(api.settings.set, { theme }), shown]);
      live.push(performance.now() - begun);
      if (round % 4 === 3) {
        const before = performance.now();
        await appliance.ask("Who keeps the keys of the orchard?");
        answered.push(performance.now() - before);
      }
      await new Promise((done) => setTimeout(done, 250));
    }
    stop();
  })();
  return {
    async end() {
      over.abort();
      await watching;
      return { memory, live, answered };
    },
  };
}
