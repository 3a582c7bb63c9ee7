import { useMutation, useQuery } from "convex/react";
import { useState } from "react";
import { api } from "../../../convex/_generated/api.js";
import type { ModelView } from "../../../convex/model/model.ts";
import { useAttempt } from "../components/notice.tsx";
import { ProgressBar } from "../components/progressBar.tsx";
import { useSpeech } from "../language/language.tsx";
import { ComparisonRow } from "./comparison.tsx";
import { comparedName } from "./inForce.tsx";

const jobsLooked = 50;

/** Two models beside each other on today's questions: begun here, watched, and kept. */
export function Compare({ models }: { models: readonly ModelView[] }) {
  const { words } = useSpeech();
  const said = words.models.compare;
  const comparisons = useQuery(api.comparisons.list);
  const jobs = useQuery(api.jobs.list, { limit: jobsLooked });
  const begin = useMutation(api.comparisons.begin);
  const attempt = useAttempt();
  const trained = models.filter(({ result }) => result?.trained).map(({ id }) => id);
  const choices = ["live", ...trained, "baseline", "bge"];
  const [one, setOne] = useState("live");
  const [chosen, setOther] = useState<string>();
  const other = chosen ?? trained[0] ?? "baseline";
  const working = comparisons?.find(({ state }) => state === "working");
  const progress = jobs?.find(({ kind, state }) => kind === "models.compare" && state === "leased")?.progress;
  return (
    <section className="section" data-testid="compare">
      <h2>{said.title}</h2>
      <p className="fine">{said.about}</p>
      <form
        className="model-compare"
        onSubmit={(event) => {
          event.preventDefault();
          attempt(() => begin({ one, ...(other !== one && { other }) }));
        }}
      >
        <Chosen label={said.one} value={one} choices={choices} onChange={setOne} testId="compare-one" />
        <Chosen label={said.other} value={other} choices={choices} onChange={setOther} testId="compare-other" />
        <button type="submit" className="button" disabled={working !== undefined} data-testid="compare-go">
          <span className="button-text">{said.go}</span>
        </button>
      </form>
      {working && (
        <>
          <p role="status">
            {said.working} <span className="fine">{said.stillWorking}</span>
          </p>
          <ProgressBar label={said.working} progress={progress} testId="compare-progress" />
        </>
      )}
      {comparisons?.length === 0 && <p className="fine">{said.none}</p>}
      <ul className="rows">
        {comparisons
          ?.filter(({ state }) => state !== "working")
          .map((comparison, at) => (
            <ComparisonRow key={comparison.id} comparison={comparison} isOpen={at === 0} />
          ))}
      </ul>
    </section>
  );
}

type ChosenProps = {
  readonly label: string;
  readonly value: string;
  readonly choices: readonly string[];
  readonly onChange: (value: string) => void;
  readonly testId: string;
};

function Chosen({ label, value, choices, onChange, testId }: ChosenProps) {
  const { models } = useSpeech().words;
  return (
    <label>
      <span>{label}</span>
      <select className="field" value={value} data-testid={testId} onChange={({ target }) => onChange(target.value)}>
        {choices.map((choice) => (
          <option key={choice} value={choice}>
            {comparedName(choice, models, models.compare.live)}
          </option>
        ))}
      </select>
    </label>
  );
}
