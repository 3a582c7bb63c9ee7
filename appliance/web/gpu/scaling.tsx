import { useMutation, useQuery } from "convex/react";
import { api } from "../../../convex/_generated/api.js";
import type { DecisionView, ScalingView } from "../../../convex/model/scaling.ts";
import { useAttempt } from "../components/notice.tsx";
import { useSpeech } from "../language/language.tsx";

const shown = 5;

/** Machines that come when work waits: whether they may, what was seen last, what was decided. The rest is set with `nika scale`. */
export function Scaling() {
  const { words, number } = useSpeech();
  const { scaling } = words;
  const view = useQuery(api.scaling.get);
  const set = useMutation(api.scaling.set);
  const attempt = useAttempt();
  if (view === undefined) return null;
  const { settings, where } = view;
  const { isOn, min, max, targetWaitMs } = settings;
  const turn = (): void => attempt(() => set({ settings: { ...settings, isOn: !isOn }, where }));
  return (
    <section className="gpu-part" data-testid="scaling">
      <h2>{scaling.title}</h2>
      <p>{isOn ? scaling.on(number(min), number(max), number(Math.round(targetWaitMs / 6_000) / 10)) : scaling.off}</p>
      <button type="button" className={isOn ? "button" : "button primary"} data-testid="scaling-turn" onClick={turn}>
        <span className="button-text">{isOn ? scaling.turnOff : scaling.turnOn}</span>
      </button>
      <Look view={view} />
      <ul className="rows">
        {view.decisions.slice(0, shown).map((decision) => (
          <Decision key={decision.id} decision={decision} />
        ))}
      </ul>
      <p className="fine">{scaling.hint}</p>
    </section>
  );
}

function Look({ view: { look, settings } }: { view: ScalingView }) {
  const { words, number, when } = useSpeech();
  const { scaling } = words;
  if (!look || !settings.isOn) return null;
  const sum = (of: "waiting" | "running"): number => look.work.reduce((all, one) => all + one[of], 0);
  return (
    <p className="fine" role="status">
      {scaling.seen(when(look.at), number(sum("waiting")), number(sum("running")), number(look.pool.length))}
    </p>
  );
}

function Decision({ decision: { at, add, remove, need } }: { decision: DecisionView }) {
  const { words, when } = useSpeech();
  const { scaling } = words;
  const text = add > 0 ? scaling.asked(add) : remove > 0 ? scaling.letGo(remove) : scaling.stays(need);
  return (
    <li className="row gpu-machine">
      <span className="row-name">
        <span className="document-name">{text}</span>
        <span className="row-facts">{when(at)}</span>
      </span>
    </li>
  );
}
