import { useMutation } from "convex/react";
import { memo } from "react";
import { api } from "../../../convex/_generated/api.js";
import type { JobState, JobView } from "../../../convex/model/job.ts";
import { useSpeech } from "../language/language.tsx";
import { sentenceOf } from "../language/sentence.ts";
import { DocumentName } from "./documentName.tsx";
import { Icon, type IconName } from "./icon.tsx";
import { useAttempt } from "./notice.tsx";
import { ProgressBar } from "./progressBar.tsx";

const icons: Record<JobState, IconName> = {
  ready: "clock",
  leased: "activity",
  done: "check",
  dead: "alert",
  cancelled: "close",
};

/** One piece of work, moving as the appliance works on it. */
export const JobRow = memo(function JobRow({ job }: { job: JobView }) {
  const { words, language } = useSpeech();
  const { label, state, progress, error } = job;
  const isUnfinished = state === "leased";
  // The work is done; what it found is that the document cannot be read.
  const hasFound = state === "done" && error !== undefined;
  return (
    <li className={`row job ${state}`} data-testid="job-row" data-state={state} data-job-id={job.id}>
      <div className="row-head">
        <span className={`job-sign ${hasFound ? "dead" : state}`}>
          <Icon name={hasFound ? "alert" : icons[state]} />
        </span>
        <span className="row-name">
          <DocumentName name={label} />
          <span className="row-facts">{useFacts(job).join(" · ")}</span>
          {error && <span className="row-why">{sentenceOf(error, language, words)}</span>}
        </span>
        <JobAction job={job} />
      </div>
      {isUnfinished && <ProgressBar label={words.activity.progress(label)} progress={progress} testId="job-progress" />}
    </li>
  );
});

function useFacts({ kind, state, attempts, progress, readyAt, endedAt, isParked, isGated }: JobView): string[] {
  const { words, when } = useSpeech();
  const facts: string[] = [words.activity.kinds[kind]];
  if (state !== "leased" || !progress) facts.push(words.activity.states[state]);
  switch (state) {
    case "leased":
      if (progress && !kind.startsWith("servers.")) facts.push(words.documents.passagesDone(progress.done, progress.total));
      if (attempts > 1) facts.push(words.activity.attempt(attempts));
      break;
    case "ready":
      if (isParked) facts.push(words.activity.parked);
      else if (isGated) facts.push(words.activity.gated);
      // A first try is due at once; a later one has been put off.
      else if (attempts > 0) facts.push(words.activity.nextTry(when(readyAt)));
      break;
    case "done":
    case "dead":
    case "cancelled":
      if (endedAt !== undefined) facts.push(when(endedAt));
      break;
  }
  return facts;
}

function JobAction({ job }: { job: JobView }) {
  const { words } = useSpeech();
  const cancel = useMutation(api.jobs.cancel);
  const retry = useMutation(api.jobs.retry);
  const attempt = useAttempt();
  const { id, kind, label, state } = job;
  if (state === "dead" || state === "cancelled")
    return (
      <button
        type="button"
        className="button small"
        aria-label={words.activity.retryOf(label)}
        data-testid="job-retry"
        onClick={() => attempt(() => retry({ id }))}
      >
        <Icon name="retry" />
        <span className="button-text">{words.activity.retry}</span>
      </button>
    );
  // Forgetting cannot be stopped half-way.
  if (state === "done" || kind === "documents.forget") return null;
  return (
    <button
      type="button"
      className="button small"
      aria-label={words.activity.cancelOf(label)}
      data-testid="job-cancel"
      onClick={() => attempt(() => cancel({ id }))}
    >
      <Icon name="close" />
      <span className="button-text">{words.activity.cancel}</span>
    </button>
  );
}
