import { useQuery } from "convex/react";
import { api } from "../../../convex/_generated/api.js";
import { BackToMore } from "../components/backToMore.tsx";
import { Skeleton } from "../components/skeleton.tsx";
import { useSpeech } from "../language/language.tsx";
import { Compare } from "../models/compare.tsx";
import { Guide } from "../models/guide.tsx";
import { InForce } from "../models/inForce.tsx";
import { ModelRow } from "../models/modelRow.tsx";
import { Pins } from "../models/pins.tsx";
import { Remembered } from "../models/remembered.tsx";
import { Training } from "../models/training.tsx";

/** What Nika learns from how it is used: what is remembered, the models made of it, and which one searches go by. */
export function ModelsScreen() {
  const { models: words } = useSpeech().words;
  const models = useQuery(api.models.list);
  const generations = useQuery(api.generations.current);
  const learning = useQuery(api.uses.get);
  if (models === undefined || generations === undefined || learning === undefined)
    return (
      <div className="screen models">
        <BackToMore />
        <h1>{words.title}</h1>
        <Skeleton rows={5} />
      </div>
    );
  return (
    <div className="screen models">
      <BackToMore />
      <div className="screen-head">
        <h1>{words.title}</h1>
      </div>
      <Guide learning={learning} models={models} generations={generations} />
      <InForce generations={generations} />
      <Remembered learning={learning} />
      <Training learning={learning} models={models} />
      <section className="section">
        <h2>{words.list}</h2>
        {models.length === 0 && <p className="fine">{words.none}</p>}
        <ul className="rows">
          {models.map((model) => (
            <ModelRow key={model.id} model={model} generations={generations} />
          ))}
        </ul>
      </section>
      <Compare models={models} />
      <Pins />
    </div>
  );
}
