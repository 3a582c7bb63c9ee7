/** `nika model`: what Nika learns from how it is used. */
import type { ConvexHttpClient } from "convex/browser";
import { api } from "../../convex/_generated/api.js";
import { NikaError } from "../../convex/model/error.ts";
import type { LoraWish, ModelResult, ModelView } from "../../convex/model/model.ts";
import type { Writing } from "../../convex/model/written.ts";
import type { Client } from "./client.ts";
import { withLive } from "./live.ts";
import { loraLines } from "./tune.ts";
import { generationLines } from "./modelDeploy.ts";
import type { Terminal } from "./terminal.ts";
import { countOf, momentOf, oneLine, table, wrap } from "./text.ts";

export type ModelUseOptions = {
  readonly allow?: readonly string[];
  readonly nothing?: true;
  readonly erase?: true;
  readonly json: boolean;
};

export async function runModelUse(
  terminal: Terminal,
  client: Client,
  { allow, nothing, erase, json }: ModelUseOptions,
): Promise<void> {
  if (allow && nothing) throw new NikaError("invalid", "Give --allow or --nothing, not both.");
  const http = await client.http();
  if (allow) await http.mutation(api.uses.allow, { scopes: [...allow] });
  if (nothing) await http.mutation(api.uses.allow, { scopes: [] });
  if (erase) await http.mutation(api.uses.erase, {});
  const learning = await http.query(api.uses.get, {});
  if (json) return terminal.json({ ...learning, isErasing: erase === true });
  const { scopes, questions, reactions } = learning;
  terminal.line(
    scopes.length === 0
      ? "Nothing of your use is remembered; `nika model use --allow private` would."
      : `Use of ${scopes.join(", ")} documents is remembered, on this machine alone; \`nika model use --nothing\` ends that.`,
  );
  if (erase) terminal.line("What was remembered is being forgotten.");
  else
    terminal.line(`Remembered: ${countOf(questions, "question")}, ${countOf(reactions, "use of an answer", "uses of answers")}.`);
}

export type ModelTrainOptions = {
  readonly seed: number | undefined;
  readonly keepNumbers: boolean;
  /** The beginning of the id of a model that is to be made once more. */
  readonly again?: string | undefined;
  /** Whether a better one is put in force. */
  readonly deploy?: boolean;
  readonly lora?: LoraWish | undefined;
  /** Whether, and of how much, a language model writes questions. */
  readonly writing?: Writing | undefined;
  readonly wait: boolean;
  readonly json: boolean;
  readonly signal: AbortSignal;
};

export async function runModelTrain(
  terminal: Terminal,
  client: Client,
  { seed, keepNumbers, again, deploy = false, lora, writing, wait, json, signal }: ModelTrainOptions,
): Promise<void> {
  const http = await client.http();
  if (again !== undefined && (seed !== undefined || keepNumbers || deploy || lora || writing))
    throw new NikaError("invalid", "With --again everything else is as it was; leave the other flags out.");
  const wish = {
    keepsNumbers: keepNumbers,
    deploys: deploy,
    ...(seed !== undefined && { seed }),
    ...(lora && { lora }),
    ...(writing && { writing }),
  };
  const id =
    again === undefined
      ? await http.mutation(api.models.train, wish)
      : await http.mutation(api.models.trainAgain, { modelId: (await findModel(http, again)).id });
  if (!wait) {
    if (json) return terminal.json({ id });
    return terminal.line("It is being trained; `nika model list` says what it came to.");
  }
  const model = await withLive<ModelView>(await client.live(), signal, (watch, done) => {
    watch(api.models.list, {}, (models) => {
      const mine = models.find((one) => one.id === id);
      if (mine && mine.state !== "waiting" && mine.state !== "running") done(mine);
    });
  });
  show(terminal, model, json);
}

export async function runModelList(terminal: Terminal, client: Client, { json }: { json: boolean }): Promise<void> {
  const http = await client.http();
  const models = await http.query(api.models.list, {});
  if (json) return terminal.json(models);
  for (const line of generationLines(await http.query(api.generations.current, {})))
    for (const part of wrap(line, terminal.width)) terminal.line(part);
  if (models.length === 0) return terminal.line("No model was trained yet; `nika model train` does.");
  const verdicts = { better: "better", rejected: "not better", refused: "not trained" } as const;
  const rows = models.map((model) => [
    model.id.slice(0, 8),
    momentOf(model.at),
    model.result ? verdicts[model.result.verdict] : model.state,
    oneLine(model.result?.says ?? model.problem ?? ""),
  ]);
  for (const line of table(rows, { width: terminal.width, give: [3] })) terminal.line(line);
  terminal.note("`nika model show ID` says what a verdict rests on; `nika model deploy ID` puts a better one in force.");
}

export async function runModelShow(
  terminal: Terminal,
  client: Client,
  { id, json }: { id: string | undefined; json: boolean },
): Promise<void> {
  show(terminal, await findModel(await client.http(), id), json);
}

/** The one whose id begins like that; the newest unless a beginning is given. */
export async function findModel(http: Pick<ConvexHttpClient, "query">, start: string | undefined): Promise<ModelView> {
  const models = await http.query(api.models.list, {});
  const [found, other] = models.filter(({ id }) => start === undefined || id.startsWith(start));
  if (!found) throw new NikaError("missing", "There is no such model; `nika model list` shows those there are.");
  if (start !== undefined && other) throw new NikaError("invalid", "Several models begin like that; give more of the id.");
  return found;
}

function show(terminal: Terminal, model: ModelView, json: boolean): void {
  if (json) return terminal.json(model);
  for (const line of modelLines(model)) for (const part of wrap(line, terminal.width)) terminal.line(part);
}

const writtenLine = ({ pairs, rivals, by }: NonNullable<ModelResult["written"]>): string =>
  `Made by ${by.map(oneLine).join(", ")}: ${countOf(pairs, "pair")}, and ${countOf(rivals, "passage")} that only look like answers.`;

/** The record as lines. */
function modelLines({ id, state, problem, result, seed }: ModelView): string[] {
  if (!result) return [`Model ${id.slice(0, 8)}: ${state}.`, ...(problem === undefined ? [] : [oneLine(problem)])];
  const verdicts: Record<ModelResult["verdict"], string> = {
    refused: "not trained",
    rejected: "trained, not better",
    better: "better than the live one",
  };
  const { trained, checks } = result;
  return [
    `Model ${id.slice(0, 8)}: ${verdicts[result.verdict]}. ${oneLine(result.says)}`,
    `Data ${result.dataSha256.slice(0, 12)}: ${countOf(result.trainingPairs, "pair")} of ${countOf(result.documents, "document")}, ${result.askedPairs} of them asked by people; ` +
      `judged by ${countOf(result.testQuestions, "question")}, ${result.madeTestQuestions} of them made. Seed ${seed}.`,
    ...(result.written ? [writtenLine(result.written)] : []),
    ...(trained
      ? [
          `Recipe: ${stepsOf(trained)}; ` +
            `vectors ${trained.fusion.dense} to words ${trained.fusion.lexical}, by ${trained.fusion.method}. Files ${trained.sha256.slice(0, 12)}, ${(trained.sizeBytes / 2 ** 20).toFixed(1)} MiB.`,
        ]
      : []),
    ...(trained?.lora ? loraLines(trained.lora) : []),
    ...checks.map(({ name, passed, says }) => `${passed ? "  ok" : "FAIL"}  ${oneLine(name)}: ${oneLine(says)}`),
    ...(checks.length > 0 ? [legend] : []),
    ...(result.verdict === "better" ? [`\`nika model deploy ${id.slice(0, 8)}\` has searches go by it.`] : []),
  ];
}

/** What the measures mean, for who never heard of them. */
export const legend =
  "By vectors: by meaning alone; both together: as searches are, words included. NDCG@10: how high the right passages stand, from 0, never among the first " +
  "ten, to 1, always first; MRR@10: the same of the first right one; Recall@10: the share of right documents among the first ten.";

/** A model that is best as its texts made it took no step after that. */
const stepsOf = ({ epochs, temperature, rate, share }: NonNullable<ModelResult["trained"]>): string =>
  epochs === 0
    ? "as texts and uses made it in closed form, no step of training after that"
    : `temperature ${temperature}, rate ${rate}, ${countOf(epochs, "epoch")}, ${Math.round(share * 100)} % of what was learned`;
