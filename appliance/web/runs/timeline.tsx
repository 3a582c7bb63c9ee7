import { useMutation, useQuery } from "convex/react";
import { api } from "../../../convex/_generated/api.js";
import type { RunDetail, StepState, StepView } from "../../../convex/model/run.ts";
import { Icon, type IconName } from "../components/icon.tsx";
import { useAttempt } from "../components/notice.tsx";
import { Skeleton } from "../components/skeleton.tsx";
import { formatSpan } from "../language/format.ts";
import { useSpeech } from "../language/language.tsx";
import { sentenceOf } from "../language/sentence.ts";

const icons: Record<StepState, IconName> = {
  ready: "clock",
  started: "activity",
  waiting: "clock",
  done: "check",
  failed: "alert",
  cancelled: "close",
};

/** What a run did and does, step by step, as it happens. */
export function RunTimeline({ id }: { id: string }) {
  const run = useQuery(api.runs.get, { id });
  if (run === undefined) return <Skeleton rows={2} />;
  if (run === null) return null;
  return (
    <div className="run-story">
      <Problem run={run} />
      <Steps run={run} />
    </div>
  );
}

/** Why it was put aside, and what differs. */
function Problem({ run: { problem } }: { run: RunDetail }) {
  const { words, language } = useSpeech();
  if (!problem) return null;
  return (
    <div className="run-problem" data-testid="run-problem">
      {/* The sentence about another step names it, which only the appliance can. */}
      <p>{language === "en" ? problem.message : words.runs.problems[problem.type]}</p>
      {problem.diff.length > 0 && (
        <pre className="run-diff" tabIndex={0} aria-label={words.runs.diff}>
          {problem.diff.map((line, i) => (
            // oxlint-disable-next-line react/no-array-index-key -- lines have no name but their place
            <span key={i} className={line.startsWith("-") ? "was" : line.startsWith("+") ? "is" : ""}>
              {`${line}\n`}
            </span>
          ))}
        </pre>
      )}
    </div>
  );
}

function Steps({ run }: { run: RunDetail }) {
  const { words } = useSpeech();
  if (run.steps.length === 0) return <p className="fine">{words.runs.noSteps}</p>;
  return (
    <ol className="run-steps">
      {run.steps.map((step) => (
        <Step key={step.id} step={step} />
      ))}
    </ol>
  );
}

function Step({ step }: { step: StepView }) {
  const { words, language } = useSpeech();
  const { label, path, state, error, result, waitFor } = step;
  const said = textOf(result);
  return (
    <li className={`run-step ${state}`} data-testid="run-step" data-state={state}>
      <Icon name={icons[state]} />
      <span className="run-step-name">
        {label ?? path}
        <span className="run-step-facts">{useFacts(step).join(" · ")}</span>
      </span>
      {said !== undefined && <p className="run-step-text">{said}</p>}
      {error && state !== "done" && <p className="run-step-text">{sentenceOf(error, language, words)}</p>}
      {waitFor?.type === "decision" && <Decide step={step} />}
    </li>
  );
}

function useFacts({ state, type, waitFor, attempts, startedAt, endedAt, effect }: StepView): string[] {
  const { words, language, moment } = useSpeech();
  const { runs } = words;
  const facts: string[] = [runs.stepStates[state]];
  if (type !== "step") facts.push(runs.stepTypes[type]);
  if (waitFor && "until" in waitFor && waitFor.until !== undefined) facts.push(runs.until(moment(waitFor.until)));
  if (waitFor?.type === "signal") facts.push(runs.waitsFor(waitFor.kind));
  if (attempts > 0) facts.push(runs.failedTries(attempts));
  if (effect) facts.push(runs.effects[effect.state]);
  if (endedAt !== undefined) facts.push(formatSpan(endedAt - startedAt, language));
  return facts;
}

/** Nobody knows whether it happened, so the owner says. */
function Decide({ step }: { step: StepView }) {
  const { runs } = useSpeech().words;
  const decide = useMutation(api.effects.decide);
  const attempt = useAttempt();
  return (
    <div className="run-decide" data-testid="run-decide">
      <p>{runs.decide}</p>
      {(["sent", "again", "failed"] as const).map((as) => (
        <button
          key={as}
          type="button"
          className="button small"
          data-testid={`run-decide-${as}`}
          onClick={() => attempt(() => decide({ stepId: step.id, as }))}
        >
          <span className="button-text">{runs.decisions[as]}</span>
        </button>
      ))}
    </div>
  );
}

/** A text as it is; anything else as JSON. */
function textOf(result: string | undefined): string | undefined {
  if (result === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(result);
    return typeof value === "string" ? value : result;
  } catch {
    // It is long, and only its beginning is here.
    return result;
  }
}
