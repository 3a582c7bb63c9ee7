import { wantedOf, type GenerationsView } from "../../../convex/model/generation.ts";
import type { ModelView } from "../../../convex/model/model.ts";
import { useSpeech } from "../language/language.tsx";
import type { Words } from "../language/words.ts";
import { nameOf } from "./inForce.tsx";
import type { Learning } from "./remembered.tsx";

/** Below this many remembered questions, training is mostly a waste of its time. */
const questionsWanted = 200;

type GuideProps = { readonly learning: Learning; readonly models: readonly ModelView[]; readonly generations: GenerationsView };

/** For who sees this page for the first time: what it does, what it costs, and what comes next. */
export function Guide(props: GuideProps) {
  const { words, number } = useSpeech();
  const said = words.models.guide;
  return (
    <section className="section" data-testid="models-guide">
      <p className="model-next" data-testid="models-next">
        <strong>{said.next}</strong> <span>{nextOf(props, words.models, number)}</span>
      </p>
      <details open={props.learning.scopes.length === 0}>
        <summary>{said.title}</summary>
        <p>{said.about}</p>
        <ol className="model-steps">
          {Object.values(said.steps).map((step) => (
            <li key={step}>{step}</li>
          ))}
        </ol>
      </details>
    </section>
  );
}

/** The one thing that is worth doing now. */
function nextOf({ learning, models, generations }: GuideProps, said: Words["models"], number: (value: number) => string): string {
  const { guide } = said;
  if (generations.moving) return guide.move;
  if (models.some(({ state }) => state === "waiting" || state === "running")) return guide.wait;
  const [newest] = models;
  const live = generations.live && wantedOf(generations.live.embedderId ?? generations.live.wanted);
  if (newest?.result?.verdict === "better" && newest.id !== live && newest.id !== generations.kept?.wanted)
    return guide.deploy(nameOf(newest.id, said));
  if (learning.scopes.length === 0) return guide.allow;
  if (live !== null && newest?.id === live) return guide.rest;
  return learning.questions < questionsWanted ? guide.askMore(number(learning.questions)) : guide.train;
}
