import { useMutation } from "convex/react";
import { api } from "../../../convex/_generated/api.js";
import { wantedOf, type GenerationsView } from "../../../convex/model/generation.ts";
import { useAttempt } from "../components/notice.tsx";
import { ProgressBar } from "../components/progressBar.tsx";
import { useSpeech } from "../language/language.tsx";
import type { Words } from "../language/words.ts";

/** Which model searches go by, the move to another one, and the way back. */
export function InForce({ generations: { live, moving, kept, keptUntil } }: { generations: GenerationsView }) {
  const { words, when, moment } = useSpeech();
  const rollback = useMutation(api.generations.rollback);
  const attempt = useAttempt();
  const said = words.models;
  return (
    <section className="section" data-testid="in-force">
      <h2>{said.inForce}</h2>
      <p>
        {live ? nameOf(wantedOf(live.embedderId ?? live.wanted), said) : said.nothingYet}
        {live?.liveAt !== undefined && <span className="fine"> · {said.since(when(live.liveAt))}</span>}
      </p>
      {moving && (
        <>
          <p role="status">{said.moving(nameOf(moving.wanted, said))}</p>
          <ProgressBar label={said.moving(moving.wanted)} progress={{ done: moving.done ?? 0, total: moving.total ?? 0 }} />
          {moving.problem !== undefined && <p className="row-why">{moving.problem}</p>}
        </>
      )}
      {kept && keptUntil !== undefined && <p className="fine">{said.kept(nameOf(kept.wanted, said), moment(keptUntil))}</p>}
      {(moving ?? kept) && (
        <button type="button" className="button small" data-testid="model-rollback" onClick={() => attempt(() => rollback({}))}>
          <span className="button-text">{moving ? said.giveUp : said.rollback}</span>
        </button>
      )}
    </section>
  );
}

/** "baseline" and "bge" have names of their own; any other was trained here. */
export function nameOf(wanted: string, said: Words["models"]): string {
  if (wanted === "baseline") return said.baseline;
  return wanted === "bge" ? "bge-small-en-v1.5" : said.model(wanted.slice(0, 8));
}

/** `live` is how "live" is called: what is in force changes, and a comparison does not. */
export const comparedName = (wanted: string, said: Words["models"], live: string): string =>
  wanted === "live" ? live : nameOf(wanted, said);
