import { useMutation } from "convex/react";
import { memo, useId, useState } from "react";
import { api } from "../../../convex/_generated/api.js";
import type { FunctionView } from "../../../convex/model/userFunction.ts";
import { Icon } from "../components/icon.tsx";
import { useAttempt } from "../components/notice.tsx";
import { useSpeech } from "../language/language.tsx";
import { InvokeBox } from "./invokeBox.tsx";
import { tookIn } from "./took.ts";

/** One function: whether it answers and how well; the rest behind it. */
export const FunctionRow = memo(function FunctionRow({ f }: { f: FunctionView }) {
  const { words, number, when } = useSpeech();
  const { owned } = words;
  const [isOpen, setOpen] = useState(false);
  const panel = useId();
  const { name, state, version, sourceVersion, problem, isBare, done, failed, p50Ms, p95Ms, lastAt } = f;
  const isBroken = problem !== undefined;
  const facts = [
    state === "serving" && isBroken && version !== sourceVersion ? owned.oldServes : owned.states[state],
    version === undefined ? "" : version.slice(0, 8),
    done > 0 ? owned.done(done) : "",
    failed > 0 ? owned.failed(failed) : "",
    p50Ms === undefined ? "" : owned.usually(tookIn(p50Ms, number), tookIn(p95Ms ?? p50Ms, number)),
    lastAt === undefined ? owned.neverRan : when(lastAt),
  ];
  return (
    <li className="row" data-testid="function-row" data-state={state}>
      <button type="button" className="row-head" aria-expanded={isOpen} aria-controls={panel} onClick={() => setOpen(!isOpen)}>
        <span className="row-name">
          <span className="document-name">
            {name}
            {isBare && state === "serving" && (
              <span className="bare-mark" data-testid="function-bare">
                <Icon name="alert" />
                {owned.bare}
              </span>
            )}
          </span>
          <span className="row-facts">{facts.filter((fact) => fact !== "").join(" · ")}</span>
          {isBroken && <span className="row-facts owned-problem">{problem}</span>}
        </span>
        <Icon name="chevron" />
      </button>
      {isOpen && (
        <div className="row-panel" id={panel}>
          <Panel f={f} />
        </div>
      )}
    </li>
  );
});

function Panel({ f }: { f: FunctionView }) {
  const { owned } = useSpeech().words;
  const { name, manifest, isBare, state, lastError } = f;
  const facts: [string, string][] = [];
  if (manifest) {
    const { memoryMiB, timeLimitMs, concurrency, egress, schedule, webhook } = manifest;
    facts.push([owned.limits, owned.limitsAre(memoryMiB, timeLimitMs / 1_000, concurrency)]);
    facts.push([owned.network, isBare ? owned.open : egress.length === 0 ? owned.closed : egress.join(", ")]);
    if (schedule !== undefined) facts.push([owned.schedule, schedule]);
    if (webhook)
      facts.push([
        owned.hook,
        `POST ${window.location.origin}/hooks/${name} · ${webhook.verify === "none" ? owned.public : owned.signed}`,
      ]);
  }
  if (lastError !== undefined) facts.push([owned.lastError, lastError]);
  return (
    <>
      <dl className="facts">
        {facts.map(([term, value]) => (
          <div key={term}>
            <dt>{term}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <Allow f={f} />
      {state === "serving" && <InvokeBox name={name} />}
    </>
  );
}

/** Only where it matters: nothing here can hold it in, or the owner has said that it need not be. */
function Allow({ f: { name, state, isBareAllowed } }: { f: FunctionView }) {
  const { owned } = useSpeech().words;
  const allow = useMutation(api.functions.allow);
  const attempt = useAttempt();
  if (state !== "refused" && !isBareAllowed) return null;
  return (
    <div className="bare-choice">
      <p className="fine">{isBareAllowed ? owned.bareAllowed : owned.bareWhy}</p>
      <button
        type="button"
        className="button small danger"
        data-testid="function-allow"
        onClick={() => attempt(() => allow({ name, isBare: !isBareAllowed }))}
      >
        {isBareAllowed ? owned.forbidBare : owned.allowBare}
      </button>
    </div>
  );
}
