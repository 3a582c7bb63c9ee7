import { useMutation } from "convex/react";
import { memo, useId, useState } from "react";
import { api } from "../../../convex/_generated/api.js";
import { hasRunEnded, type RunState, type RunView } from "../../../convex/model/run.ts";
import { Icon, type IconName } from "../components/icon.tsx";
import { useAttempt } from "../components/notice.tsx";
import { useSpeech } from "../language/language.tsx";
import { sentenceOf } from "../language/sentence.ts";
import { RunTimeline } from "./timeline.tsx";

const icons: Record<RunState, IconName> = {
  running: "activity",
  waiting: "clock",
  parked: "alert",
  done: "check",
  failed: "alert",
  cancelled: "close",
};

/** One run: how it stands, what can be done about it, and behind it what it did. */
export const RunRow = memo(function RunRow({ run, isOpenFirst }: { run: RunView; isOpenFirst: boolean }) {
  const { words, language, when, moment } = useSpeech();
  const { runs } = words;
  const [isOpen, setOpen] = useState(isOpenFirst);
  const panel = useId();
  const { id, label, state, endedAt, createdAt, wakeAt, error, asks } = run;
  const facts = [
    asks > 0 ? runs.asks : runs.states[state],
    when(endedAt ?? createdAt),
    ...(state === "waiting" && wakeAt !== undefined ? [runs.until(moment(wakeAt))] : []),
  ];
  return (
    <li className={`row run ${state}`} data-testid="run-row" data-state={state} data-run-id={id}>
      <div className="schedule-line">
        <button type="button" className="row-head" aria-expanded={isOpen} aria-controls={panel} onClick={() => setOpen(!isOpen)}>
          <span className={`job-sign ${state === "failed" || state === "parked" ? "dead" : state}`}>
            <Icon name={asks > 0 ? "ask" : icons[state]} />
          </span>
          <span className="row-name">
            <span className="document-name">{label}</span>
            <span className="row-facts">{facts.join(" · ")}</span>
            {error && <span className="row-why">{sentenceOf(error, language, words)}</span>}
          </span>
          <Icon name="chevron" />
        </button>
      </div>
      {isOpen && (
        <div id={panel} className="schedule-panel">
          <RunTimeline id={id} />
          <Actions run={run} />
        </div>
      )}
    </li>
  );
});

function Actions({ run: { id, state } }: { run: RunView }) {
  const { runs } = useSpeech().words;
  const resume = useMutation(api.runs.resume);
  const restart = useMutation(api.runs.restart);
  const cancel = useMutation(api.runs.cancel);
  const attempt = useAttempt();
  const hasEnded = hasRunEnded(state);
  const actions = [
    { name: "resume", isOffered: state === "parked", act: () => resume({ id }) },
    { name: "restart", isOffered: hasEnded || state === "parked", act: () => restart({ id }) },
    { name: "cancel", isOffered: !hasEnded, act: () => cancel({ id }) },
  ] as const;
  return (
    <div className="actions">
      {actions
        .filter(({ isOffered }) => isOffered)
        .map(({ name, act }) => (
          <button key={name} type="button" className="button small" data-testid={`run-${name}`} onClick={() => attempt(act)}>
            <span className="button-text">{runs.actions[name]}</span>
          </button>
        ))}
      {(hasEnded || state === "parked") && <p className="fine">{runs.restartHint}</p>}
    </div>
  );
}
