import { useMutation } from "convex/react";
import { api } from "../../../convex/_generated/api.js";
import { doneOf, paceOf, totalOf, type BatchView } from "../../../convex/model/batch.ts";
import { useSpeech } from "../language/language.tsx";
import { toBatchHref } from "../route.ts";
import { useAttempt } from "./notice.tsx";
import { ProgressBar } from "./progressBar.tsx";

/** What was handed in together: how far it is, how fast, and what can be done about it. */
export function BatchCard({ batch, isWhole = false }: { batch: BatchView; isWhole?: boolean }) {
  const { words } = useSpeech();
  const { batches } = words;
  const { sums, state, label } = batch;
  const [done, total] = [doneOf(sums), totalOf(sums)];
  const isMoving = state === "reading" || state === "adding" || state === "deciding";
  return (
    <article className={`batch ${state}`} data-testid="batch" data-state={state} data-batch-id={batch.id}>
      <header className="batch-head">
        <span className="batch-name">
          {isWhole ? <strong>{label}</strong> : <a href={toBatchHref(batch.id)}>{label}</a>}
          <span className="batch-facts">{useFacts(batch).join(" · ")}</span>
        </span>
        <span className={`chip ${chips[state] ?? ""}`}>{batches.states[state]}</span>
      </header>
      {(isMoving || state === "paused") && total > 0 && (
        <ProgressBar label={batches.progress(label)} progress={{ done, total }} testId="batch-progress" />
      )}
      <Actions batch={batch} isWhole={isWhole} />
    </article>
  );
}

const chips: Partial<Record<BatchView["state"], string>> = { reading: "reading", review: "reading", done: "ready" };

function useFacts({ sums, samples, state, origin, addedAt }: BatchView): string[] {
  const { words, bytes, when } = useSpeech();
  const { batches } = words;
  const pace = state === "reading" ? paceOf(samples, sums) : undefined;
  const isOver = state === "done" || state === "cancelled";
  const total = totalOf(sums);
  return [
    isOver || total === 0 ? "" : batches.doneOf(doneOf(sums), total),
    isOver && sums.ready > 0 ? words.status.documents(sums.ready) : "",
    sums.staged > 0 ? batches.staged(sums.staged) : "",
    sums.unreadable > 0 ? batches.unreadable(sums.unreadable) : "",
    sums.known > 0 ? batches.known(sums.known) : "",
    pace && pace.documentsPerSecond > 0 ? batches.rate(pace.documentsPerSecond) : "",
    pace?.leftMs === undefined ? "" : batches.left(pace.leftMs),
    sums.sizeBytes > 0 ? bytes(sums.sizeBytes) : "",
    isOver ? `${when(addedAt)}, ${batches.origins[origin]}` : "",
  ].filter((fact) => fact !== "");
}

function Actions({ batch, isWhole }: { batch: BatchView; isWhole: boolean }) {
  const { batches } = useSpeech().words;
  const pause = useMutation(api.batches.pause);
  const resume = useMutation(api.batches.resume);
  const cancel = useMutation(api.batches.cancel);
  const attempt = useAttempt();
  const { id, state, sums } = batch;
  const isOpen = sums.waiting + sums.reading > 0;
  const canPause = isOpen && (state === "reading" || state === "adding");
  if (!canPause && state !== "paused" && (state !== "review" || isWhole)) return null;
  return (
    <div className="actions">
      {canPause && (
        <button type="button" className="button small" data-testid="batch-pause" onClick={() => attempt(() => pause({ id }))}>
          {batches.pause}
        </button>
      )}
      {state === "paused" && (
        <button type="button" className="button small" data-testid="batch-resume" onClick={() => attempt(() => resume({ id }))}>
          {batches.resume}
        </button>
      )}
      {isOpen && (
        <button
          type="button"
          className="button small danger"
          title={batches.cancelHint}
          data-testid="batch-cancel"
          onClick={() => attempt(() => cancel({ id }))}
        >
          {batches.cancel}
        </button>
      )}
      {state === "review" && !isWhole && (
        <a className="button small primary" href={toBatchHref(id)} data-testid="batch-review">
          {batches.reviewTitle}
        </a>
      )}
    </div>
  );
}
