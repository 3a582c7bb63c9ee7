/**
 * How long a search takes among 200,000 passages, through the whole call: understanding, spelling, embedding, rankings, second look.
 * Only with `--speed`, because filling the store takes minutes; `--passages N` for another number.
 */
import { parseArgs } from "node:util";
import type { SearchFilter } from "../../../convex/model/answer.ts";
import type { PassagePoint } from "../../../functions/ports/vectors.ts";
import { findPassages } from "../../../functions/vault/find.ts";
import { indexed } from "../../../ml/retrieve/terms.ts";
import { clustered, random } from "../../../tests/appliance/vectors/random.ts";
import { atMost, report } from "../vectors/parts/figure.ts";
import { openVault, tenantId, type BenchVault } from "./parts/vault.ts";

const { values: flags } = parseArgs({ options: { speed: { type: "boolean" }, passages: { type: "string" } }, strict: false });
const never = new AbortController().signal;
const passagesPerDocument = 256;
const wordsPerPassage = 90;
const types = ["invoice", "contract", "email", "manual", "report", "minutes", "document", "quote"];
const questionsAsked = 400;
const day = 86_400_000;

async function main(): Promise<void> {
  const count = Number(flags.passages ?? 200_000);
  await using vault = await openVault();
  const from = random(5);
  const vocabulary = Array.from({ length: 40_000 }, (_, at) => wordOf(at));
  const word = (): string => vocabulary[Math.floor(from.next() ** 3 * vocabulary.length)]!;
  const startedAt = performance.now();
  await fill(vault, count, { from, word });
  report({
    name: "retrieval.fill",
    value: count / ((performance.now() - startedAt) / 1000),
    unit: "passages/s, without parsing and embedding",
  });
  report({ name: "retrieval.index", value: vault.diskMiB(), unit: "MiB on disk" });
  report({ name: "retrieval.memory", value: process.memoryUsage().rss / 2 ** 20, unit: "MiB, bench and store" });

  const filters: Record<string, () => SearchFilter | undefined> = {
    all: () => undefined,
    "language and type": () => ({ languages: ["fr"], types: [types[Math.floor(from.next() * types.length)]!] }),
    "a year": () => ({ from: Date.UTC(2023), to: Date.UTC(2024) }),
    "a folder": () => ({ folder: `client${Math.floor(from.next() * 50)}` }),
  };
  const texts: Record<string, () => string> = {
    words: () => Array.from({ length: 3 + Math.floor(from.next() * 4) }, word).join(" "),
    "type and month": () => `factures de mars ${word()} ${word()}`,
    misspelt: () => `${word().slice(0, -1)} ${word()}x ${word()}`,
  };
  const everything: number[] = [];
  for (const [asked, question] of Object.entries(texts)) {
    for (const [limited, filter] of Object.entries(filters)) {
      const times: number[] = [];
      const cpuBefore = process.cpuUsage();
      for (let at = 0; at < questionsAsked / 8; at += 1) {
        const only = filter();
        const begun = performance.now();
        await findPassages({ tenantId, question: question(), limit: 10, ...(only && { filter: only }) }, vault, never);
        times.push(performance.now() - begun);
      }
      everything.push(...times);
      // All threads together: on a machine that is shared, this is the figure that others do not move.
      const { user, system } = process.cpuUsage(cpuBefore);
      const cpuMs = (user + system) / 1000 / times.length;
      report({
        name: `retrieval.search ${asked}, ${limited}.p50`,
        value: at(times, 0.5),
        unit: `ms (${cpuMs.toFixed(1)} ms of processor)`,
      });
    }
  }
  report({ name: "retrieval.search.p50", value: at(everything, 0.5), unit: "ms" }, () => atMost(40)(at(everything, 0.5)));
  report({ name: "retrieval.search.p99", value: at(everything, 0.99), unit: "ms" }, () => atMost(150)(at(everything, 0.99)));
}

const at = (values: readonly number[], share: number): number =>
  values.toSorted((one, other) => one - other)[Math.min(values.length - 1, Math.floor(values.length * share))]!;

/** A made-up word of two to four syllables; near words differ in a letter, as real ones do. */
function wordOf(at: number): string {
  const syllables = "ba ce di fo gu ha ki lo me nu pa ri so ta ve wi zo dra fle gri kel mor sta tri vin cha bou ler ton".split(
    " ",
  );
  let rest = at * 7919 + 31;
  let word = "";
  for (let part = 0; part < 3 || rest > 0; part += 1) {
    word += syllables[rest % syllables.length];
    rest = Math.floor(rest / syllables.length);
  }
  return word;
}

type Source = { readonly from: ReturnType<typeof random>; readonly word: () => string };

async function fill({ vectors }: BenchVault, count: number, { from, word }: Source): Promise<void> {
  const vector = clustered(from, 384, 256);
  for (let document = 0; document * passagesPerDocument < count; document += 1) {
    const documentId = `d${document}`;
    const facts = {
      documentId,
      documentName: `client${document % 50}/${2020 + (document % 6)}/file${document}.pdf`,
      title: `${word()} ${word()}`,
      language: document % 3 === 0 ? "fr" : "en",
      format: "pdf",
      entityType: types[document % types.length]!,
      author: `${word()} ${word()}`,
      writtenAt: Date.UTC(2020) + (document % 2190) * day,
    };
    const passages = Array.from(
      { length: Math.min(passagesPerDocument, count - document * passagesPerDocument) },
      (_, ordinal): PassagePoint => {
        const text = `${Array.from({ length: wordsPerPassage }, word).join(" ")}.`;
        return {
          ...facts,
          ordinal,
          text,
          vector: Float32Array.from(vector()),
          place: { page: ordinal + 1 },
          kind: "prose",
          section: 1,
          ...indexed(text),
        };
      },
    );
    await vectors.replace({ tenantId, documentId }, passages, never);
    if (document % 50 === 49) console.error(`${(document + 1) * passagesPerDocument} passages`);
  }
}

if (flags.speed === true) await main();
