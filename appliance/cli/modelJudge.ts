/** `nika model eval`, `diff`, `pin` and `card`: how good models are, beside each other and on what has to stay answered. */
import { writeFile } from "node:fs/promises";
import { api } from "../../convex/_generated/api.js";
import type { Comparison, ComparisonView, ModelMeasures } from "../../convex/model/comparison.ts";
import { NikaError } from "../../convex/model/error.ts";
import { modelCard } from "../../convex/model/modelCard.ts";
import type { Client } from "./client.ts";
import { meant } from "./documents.ts";
import { withLive } from "./live.ts";
import { findModel, legend } from "./model.ts";
import type { Terminal } from "./terminal.ts";
import { countOf, oneLine, table, wrap } from "./text.ts";

type JsonOption = { readonly json: boolean };
export type CompareOptions = JsonOption & { readonly one: string; readonly other?: string; readonly signal: AbortSignal };

const known = new Set(["live", "baseline", "bge"]);

/** Waits until both were asked today's questions; Ctrl-C only stops watching. */
export async function runModelCompare(
  terminal: Terminal,
  client: Client,
  { one, other, json, signal }: CompareOptions,
): Promise<void> {
  const http = await client.http();
  const named = async (name: string): Promise<string> => (known.has(name) ? name : (await findModel(http, name)).id);
  const id = await http.mutation(api.comparisons.begin, {
    one: await named(one),
    ...(other !== undefined && { other: await named(other) }),
  });
  const found = await withLive<ComparisonView>(await client.live(), signal, (watch, done) => {
    watch(api.comparisons.list, {}, (all) => {
      const mine = all.find((comparison) => comparison.id === id);
      if (mine && mine.state !== "working") done(mine);
    });
  });
  if (found.state === "failed" || !found.result)
    throw new NikaError("unavailable", found.problem ?? "The models could not be compared.");
  if (json) return terminal.json(found.result);
  for (const line of comparisonLines(found.result, terminal.width)) terminal.line(line);
}

/** What a comparison found, as lines no wider than `width`. */
export function comparisonLines(result: Comparison, width: number): string[] {
  const { one, other, questions, madeQuestions, slices, moved, pinned } = result;
  if (!one) return wrap(result.problem ?? "There is nothing to compare by.", width);
  const both = [one, ...(other ? [other] : [])];
  const measure = (name: string, of: (measures: ModelMeasures) => string): string[] => [name, ...both.map(of)];
  const rows = [
    measure("", ({ name }) => oneLine(name)),
    measure("NDCG@10 by vectors", ({ dense }) => interval(dense.ndcg)),
    measure("NDCG@10 both together", ({ hybrid }) => interval(hybrid.ndcg)),
    measure("MRR@10 by vectors", ({ dense }) => dense.mrr.toFixed(3)),
    measure("MRR@10 both together", ({ hybrid }) => hybrid.mrr.toFixed(3)),
    measure("Recall@10 by vectors", ({ dense }) => dense.recall.toFixed(3)),
    measure("Recall@10 both together", ({ hybrid }) => hybrid.recall.toFixed(3)),
    measure("joined with words", ({ fusion }) => `by ${fusion.method}, ${fusion.dense} to ${fusion.lexical}`),
    measure("size", ({ sizeBytes }) => (sizeBytes === 0 ? "built in" : `${(sizeBytes / 2 ** 20).toFixed(1)} MiB`)),
    measure("a question takes", ({ latencyMs }) => `${latencyMs.toFixed(1)} ms`),
  ];
  const differences = [
    ["by vectors", result.denseDifference],
    ["both together", result.hybridDifference],
  ] as const;
  const answered = (is: boolean | undefined): string => (is === undefined ? "" : is ? "answered" : "not in first 10");
  return [
    `On ${countOf(questions, "question")} about documents that no example is about, ${madeQuestions} of them made (data ${result.dataSha256.slice(0, 12)}):`,
    ...table(rows, { width, give: [1, 2] }),
    ...differences.flatMap(([name, difference]) =>
      difference
        ? [
            `Difference ${name}: ${signed(difference.mean)} (${signed(difference.from)} to ${signed(difference.to)}), ${meaningOf(difference)}`,
          ]
        : [],
    ),
    "In brackets: where it lies with 95 % certainty.",
    ...wrap(legend, width),
    ...section(
      "Both together, by kind",
      slices.map((slice) => [slice.name, String(slice.questions), slice.one.toFixed(3), slice.other?.toFixed(3) ?? ""]),
      width,
    ),
    ...section(
      "Questions that moved most",
      moved.map((move) => [
        oneLine(move.question),
        move.one.toFixed(2),
        move.other.toFixed(2),
        move.other > move.one ? "rose" : "fell",
      ]),
      width,
    ),
    ...section(
      "Pinned questions",
      pinned.map((pin) => [oneLine(pin.question), answered(pin.one), answered(pin.other)]),
      width,
    ),
  ];
}

function section(title: string, rows: readonly (readonly string[])[], width: number): string[] {
  return rows.length === 0 ? [] : ["", `${title}:`, ...table(rows, { width, give: [0] })];
}

/** Only an interval on one side of 0 says anything. */
const meaningOf = ({ from, to }: { from: number; to: number }): string =>
  from > 0 ? "the second is better" : to < 0 ? "the first is better" : "which may be chance";

const interval = ({ mean, from, to }: { mean: number; from: number; to: number }): string =>
  `${mean.toFixed(3)} (${from.toFixed(3)} to ${to.toFixed(3)})`;
const signed = (value: number): string => `${value >= 0 ? "+" : ""}${value.toFixed(3)}`;

export type PinOptions = JsonOption & { readonly question?: string; readonly document?: string; readonly remove?: true };

export async function runModelPin(
  terminal: Terminal,
  client: Client,
  { question, document, remove, json }: PinOptions,
): Promise<void> {
  const http = await client.http();
  if (question !== undefined && remove) {
    const removed = await http.mutation(api.comparisons.unpin, { question });
    if (removed === 0) throw new NikaError("missing", "This question is not pinned; `nika model pin` shows those that are.");
  } else if (question !== undefined) {
    if (document === undefined) throw new NikaError("invalid", "Say which document answers it.");
    await http.mutation(api.comparisons.pin, { question, documentId: (await meant(http, document)).id });
  }
  const pins = await http.query(api.comparisons.pins, {});
  if (json) return terminal.json(pins);
  if (pins.length === 0) return terminal.line("No question is pinned; `nika model pin QUESTION DOCUMENT` has one stay answered.");
  const rows = pins.map((pin) => [oneLine(pin.question), oneLine(pin.documentName)]);
  for (const line of table(rows, { width: terminal.width, give: [0, 1] })) terminal.line(line);
}

export async function runModelCard(
  terminal: Terminal,
  client: Client,
  { id, out, json }: JsonOption & { readonly id: string | undefined; readonly out: string | undefined },
): Promise<void> {
  const http = await client.http();
  const model = await findModel(http, id);
  const { live } = await http.query(api.generations.current, {});
  const card = modelCard(model, { isInForce: live?.wanted === model.id });
  if (out !== undefined) {
    await writeFile(out, card, { flag: "wx" }).catch((error: unknown) => {
      const isThere = error instanceof Error && "code" in error && error.code === "EEXIST";
      throw new NikaError(isThere ? "conflict" : "invalid", isThere ? `${out} is there already.` : `${out} cannot be written.`);
    });
  }
  if (json) return terminal.json({ id: model.id, ...(out === undefined ? { card } : { out }) });
  if (out !== undefined) return terminal.line(`The card of model ${model.id.slice(0, 8)} is in ${oneLine(out)}.`);
  for (const line of card.trimEnd().split("\n")) terminal.line(line);
}
