/** `nika model deploy` and `rollback`: which model searches go by. */
import { api } from "../../convex/_generated/api.js";
import { NikaError } from "../../convex/model/error.ts";
import { wantedOf, type GenerationsView, type GenerationView } from "../../convex/model/generation.ts";
import type { Client } from "./client.ts";
import { withLive } from "./live.ts";
import { openProgress, type Progress } from "./progress.ts";
import type { Terminal } from "./terminal.ts";
import { momentOf, oneLine } from "./text.ts";

export type ModelDeployOptions = {
  /** "baseline", "bge", or the beginning of the id of a model that was trained here. */
  readonly model: string;
  readonly anyway: string | undefined;
  readonly wait: boolean;
  readonly json: boolean;
  readonly signal: AbortSignal;
};

export async function runModelDeploy(
  terminal: Terminal,
  client: Client,
  { model, anyway, wait, json, signal }: ModelDeployOptions,
): Promise<void> {
  const http = await client.http();
  const modelId = model === "baseline" || model === "bge" ? model : await findModel(client, model);
  const id = await http.mutation(api.generations.deploy, { modelId, ...(anyway !== undefined && { anyway }) });
  if (!wait) {
    if (json) return terminal.json({ id });
    return terminal.line("The vault is being moved; searches go on as before. `nika model list` says how far it is.");
  }
  const live = await follow(terminal, client, { id, json, signal });
  if (json) return terminal.json(live);
  terminal.line(`In force: ${nameOf(live)}. The one before is kept for a week; \`nika model rollback\` goes back to it at once.`);
}

async function follow(
  terminal: Terminal,
  client: Client,
  { id, json, signal }: Pick<ModelDeployOptions, "json" | "signal"> & { readonly id: string },
): Promise<GenerationView> {
  let progress: Promise<Progress> | undefined;
  try {
    return await withLive<GenerationView>(await client.live(), signal, (watch, done) => {
      watch(api.generations.current, {}, ({ live, moving, past }) => {
        if (live?.id === id) return done(live);
        const ended = past.find((one) => one.id === id);
        if (ended) throw new NikaError("conflict", ended.problem ?? "It was given up.");
        if (moving?.id !== id) return;
        if (moving.isWorkedOn === false)
          throw new NikaError(
            "unavailable",
            `${moving.problem ?? "Nobody works on it."} What was copied is kept: the same command goes on from there.`,
          );
        const { done: copied = 0, total = 0, state } = moving;
        if (total === 0) return;
        progress ??= openProgress({ terminal, label: "passages", noun: "passage", total, isQuiet: json });
        const note = state === "checking" ? { note: "comparing" } : {};
        void progress.then((bar) => bar.update(Math.min(copied, total), { total, ...note }));
      });
    });
  } finally {
    (await progress)?.stop();
  }
}

async function findModel(client: Client, start: string): Promise<string> {
  const models = await (await client.http()).query(api.models.list, {});
  const [found, other] = models.filter(({ id }) => id.startsWith(start));
  if (!found) throw new NikaError("missing", "There is no such model; `nika model list` shows those there are.");
  if (other) throw new NikaError("invalid", "Several models begin like that; give more of the id.");
  return found.id;
}

export async function runModelRollback(terminal: Terminal, client: Client, { json }: { json: boolean }): Promise<void> {
  const became = await (await client.http()).mutation(api.generations.rollback, {});
  if (json) return terminal.json(became);
  const { embedderId, gaveUp } = became;
  terminal.line(
    gaveUp
      ? `The move is given up; searches go by ${embedderId === "" ? "the embedder they had" : nameOf({ wanted: wantedOf(embedderId) })}, as before.`
      : `Searches go by ${nameOf({ wanted: wantedOf(embedderId) })} again, with all that was written since. The other one's vectors are dropped.`,
  );
}

/** What is in force, what is on its way, and what is kept. */
export function generationLines({ live, moving, kept, keptUntil }: GenerationsView): string[] {
  const share = (one: GenerationView): string =>
    one.total ? `, ${Math.floor((100 * Math.min(one.done ?? 0, one.total)) / one.total)} % copied` : "";
  return [
    live
      ? `In force: ${nameOf(live)}, since ${day(live.liveAt)}${live.by === "start" ? "" : `, by the ${live.by}`}${live.reason === undefined ? "" : ` (“${oneLine(live.reason)}”)`}.`
      : "In force: the embedder of this machine; the vault was not used yet.",
    ...(moving
      ? [
          `On its way: ${nameOf(moving)}, by the ${moving.by}${share(moving)}${moving.isWorkedOn === false ? "; stopped. `nika model deploy` with the same name goes on" : ""}.`,
        ]
      : []),
    ...(kept ? [`Kept: ${nameOf(kept)}, until ${day(keptUntil)}; \`nika model rollback\` goes back to it.`] : []),
  ];
}

const nameOf = ({ wanted }: Pick<GenerationView, "wanted">): string =>
  wanted === "baseline" || wanted === "bge" ? wanted : `model ${wanted.slice(0, 8)}`;

const day = (at: number | undefined): string => momentOf(at ?? 0);
