import { useQuery } from "convex/react";
import { memo, useId, useState } from "react";
import { api } from "../../../convex/_generated/api.js";
import type { InvocationView } from "../../../convex/model/userFunction.ts";
import { Icon } from "../components/icon.tsx";
import { Skeleton } from "../components/skeleton.tsx";
import { useSpeech } from "../language/language.tsx";
import { tookIn } from "./took.ts";

/** One run; behind it what it said and what came of it. */
export const RunRow = memo(function RunRow({ run }: { run: InvocationView }) {
  const { words, when, number } = useSpeech();
  const { owned } = words;
  const [isOpen, setOpen] = useState(false);
  const panel = useId();
  const { id, name, state, trigger, facts, error, createdAt, attempt } = run;
  const told = [
    owned.runStates[state],
    owned.triggers[trigger],
    when(createdAt),
    facts ? tookIn(facts.tookMs, number) : "",
    facts?.coldMs === undefined ? "" : owned.cold(tookIn(facts.coldMs, number)),
    attempt > 1 ? owned.attempt(attempt) : "",
  ];
  return (
    <li className="row" data-testid="function-run" data-state={state}>
      <button type="button" className="row-head" aria-expanded={isOpen} aria-controls={panel} onClick={() => setOpen(!isOpen)}>
        <span className="row-name">
          <span className="document-name">
            {name}
            {facts?.isBare && (
              <span className="bare-mark">
                <Icon name="alert" />
                {owned.bare}
              </span>
            )}
          </span>
          <span className="row-facts">{told.filter((fact) => fact !== "").join(" · ")}</span>
          {error && <span className="row-facts owned-problem">{error.message}</span>}
        </span>
        <Icon name="chevron" />
      </button>
      {isOpen && (
        <div className="row-panel" id={panel}>
          <RunDetail id={id} />
        </div>
      )}
    </li>
  );
});

/** Live, from its first word to its answer. */
export function RunDetail({ id }: { id: string }) {
  const { owned } = useSpeech().words;
  const run = useQuery(api.functions.invocation, { id });
  if (run === undefined) return <Skeleton rows={2} />;
  if (run === null) return <p className="fine">{owned.goneRun}</p>;
  const { state, input, output, outputUrl, log, logDropped, error } = run;
  return (
    <div className="run-detail" role="status" data-testid="function-result" data-state={state}>
      {input !== undefined && input !== "null" && <Text title={owned.input} text={input} />}
      {log !== "" && <Text title={owned.log} text={log} />}
      {logDropped > 0 && <p className="fine">{owned.dropped(logDropped)}</p>}
      {state === "open" && <p className="fine">{owned.runStates.open}…</p>}
      {error && <p className="owned-problem">{error.message}</p>}
      {output !== undefined && <Text title={owned.output} text={pretty(output)} />}
      {outputUrl !== undefined && (
        <a href={outputUrl} target="_blank" rel="noreferrer">
          {owned.largeOutput}
        </a>
      )}
    </div>
  );
}

function Text({ title, text }: { title: string; text: string }) {
  return (
    <figure>
      <figcaption className="fine">{title}</figcaption>
      <pre className="code">{text}</pre>
    </figure>
  );
}

function pretty(json: string): string {
  const value: unknown = JSON.parse(json);
  return typeof value === "string" ? value : JSON.stringify(value, undefined, 2);
}
