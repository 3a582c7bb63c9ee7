import { useMutation, usePaginatedQuery, useQuery } from "convex/react";
import { useId, useState } from "react";
import { api } from "../../../convex/_generated/api.js";
import type { Id } from "../../../convex/_generated/dataModel.js";
import { groupings, type BatchSummary, type BatchView, type GroupView, type Only } from "../../../convex/model/batch.ts";
import { BatchCard } from "../components/batchCard.tsx";
import { DocumentName } from "../components/documentName.tsx";
import { Empty } from "../components/empty.tsx";
import { GroupDialog, type Refiled } from "../components/groupDialog.tsx";
import { groupName } from "../components/groupName.ts";
import { Icon } from "../components/icon.tsx";
import { useAttempt } from "../components/notice.tsx";
import { ProgressBar } from "../components/progressBar.tsx";
import { Sheet } from "../components/sheet.tsx";
import { Skeleton } from "../components/skeleton.tsx";
import { StateChip } from "../components/stateChip.tsx";
import { useSpeech } from "../language/language.tsx";
import { toDocumentHref, toHref } from "../route.ts";

const documentsAtFirst = 30;

/** What was handed in together: what is in it, what failed and why, and the owner's word on it. */
export function BatchScreen({ id }: { id: string }) {
  const { words } = useSpeech();
  const summary = useQuery(api.batches.summary, { id: id as Id<"batches"> });
  return (
    <div className="screen">
      <a className="back always" href={toHref("documents")}>
        <Icon name="chevron" />
        {words.documents.title}
      </a>
      {summary === undefined && <Skeleton rows={5} />}
      {summary === null && <Empty title={words.batches.gone} hint={words.batches.goneHint} />}
      {summary && (
        <>
          <BatchCard batch={summary.batch} isWhole />
          <Review summary={summary} />
          <Groups summary={summary} />
          <Failures summary={summary} />
          <Documents batch={summary.batch} />
        </>
      )}
    </div>
  );
}

type Asked = { readonly only?: Only; readonly documents: number };

function Review({ summary: { batch } }: { summary: BatchSummary }) {
  const { batches } = useSpeech().words;
  const decide = useMutation(api.batches.decide);
  const attempt = useAttempt();
  const [rejecting, setRejecting] = useState<Asked>();
  const { id, sums, state } = batch;
  if (sums.staged === 0) return null;
  const canDecide = canBeDecided(batch);
  return (
    <section className="review-box" data-testid="review">
      <h2>{batches.reviewTitle}</h2>
      <p>{canDecide || state === "deciding" ? batches.reviewText : batches.reviewWait}</p>
      <div className="actions">
        <button
          type="button"
          className="button primary"
          disabled={!canDecide}
          data-testid="accept-all"
          onClick={() => attempt(() => decide({ id, isAccepted: true }))}
        >
          <Icon name="check" />
          {batches.acceptAll}
        </button>
        <button
          type="button"
          className="button danger"
          disabled={!canDecide}
          data-testid="reject-all"
          onClick={() => setRejecting({ documents: sums.staged })}
        >
          {batches.rejectAll}
        </button>
      </div>
      <RejectDialog batch={batch} asked={rejecting} onClose={() => setRejecting(undefined)} />
    </section>
  );
}

function canBeDecided({ state, sums }: BatchView): boolean {
  return sums.reading === 0 && (state === "review" || state === "paused" || (state === "adding" && sums.waiting === 0));
}

function RejectDialog({ batch, asked, onClose }: { batch: BatchView; asked: Asked | undefined; onClose: () => void }) {
  const { batches } = useSpeech().words;
  const decide = useMutation(api.batches.decide);
  const attempt = useAttempt();
  const title = useId();
  return (
    <Sheet isOpen={asked !== undefined} labelledBy={title} onClose={onClose}>
      <h2 id={title}>{batches.rejectTitle}</h2>
      <p className="sheet-text">{asked && batches.rejectText(asked.documents)}</p>
      <div className="actions end">
        <button type="button" className="button" autoFocus onClick={onClose}>
          {batches.rejectBack}
        </button>
        <button
          type="button"
          className="button danger filled"
          data-testid="reject-confirm"
          onClick={() => {
            attempt(() => decide({ id: batch.id, isAccepted: false, ...(asked?.only && { only: asked.only }) }));
            onClose();
          }}
        >
          {batches.reject}
        </button>
      </div>
    </Sheet>
  );
}

function Groups({ summary: { batch, groups } }: { summary: BatchSummary }) {
  const { words } = useSpeech();
  const [rejecting, setRejecting] = useState<Asked>();
  const [refiling, setRefiling] = useState<Refiled>();
  const sorts = groupings.filter((by) => groups.some((group) => group.by === by));
  return (
    <div className="group-sorts">
      {sorts.map((by) => (
        <section key={by} className="section">
          <h2>{words.batches.groups[by]}</h2>
          <ul className="groups">
            {groups
              .filter((group) => group.by === by)
              .map((group) => (
                <Group key={group.value} batch={batch} group={group} onReject={setRejecting} onRefile={setRefiling} />
              ))}
          </ul>
        </section>
      ))}
      <RejectDialog batch={batch} asked={rejecting} onClose={() => setRejecting(undefined)} />
      <GroupDialog batch={batch} group={refiling} onClose={() => setRefiling(undefined)} />
    </div>
  );
}

type GroupProps = {
  readonly batch: BatchView;
  readonly group: GroupView;
  readonly onReject: (asked: Asked) => void;
  readonly onRefile: (group: Refiled) => void;
};

function Group({ batch, group, onReject, onRefile }: GroupProps) {
  const { words, number, bytes, languageName } = useSpeech();
  const decide = useMutation(api.batches.decide);
  const attempt = useAttempt();
  const name = groupName(group, words, languageName);
  const only = toOnly(group);
  const canDecide = only !== undefined && group.staged > 0 && canBeDecided(batch);
  const all = Math.max(1, batch.sums.staged + batch.sums.ready + batch.sums.unreadable);
  return (
    <li className="group" data-testid="group" data-group={`${group.by}=${group.value}`}>
      <span className="group-name">{name}</span>
      <span className="group-facts">
        {number(group.documents)} · {bytes(group.sizeBytes)}
      </span>
      <span className="group-share" aria-hidden="true">
        <span style={{ inlineSize: `${Math.min(100, (100 * group.documents) / all)}%` }} />
      </span>
      <span className="group-actions">
        {only !== undefined && (
          <button
            type="button"
            className="icon-button"
            aria-label={words.batches.refileOf(name)}
            title={words.batches.refile}
            data-testid="group-refile"
            onClick={() => onRefile({ only, name, documents: group.documents })}
          >
            <Icon name="pencil" />
          </button>
        )}
        {canDecide && (
          <>
            <button
              type="button"
              className="icon-button"
              aria-label={words.batches.acceptOf(name)}
              title={words.batches.accept}
              data-testid="group-accept"
              onClick={() => attempt(() => decide({ id: batch.id, isAccepted: true, only }))}
            >
              <Icon name="check" />
            </button>
            <button
              type="button"
              className="icon-button"
              aria-label={words.batches.rejectOf(name)}
              title={words.batches.reject}
              data-testid="group-reject"
              onClick={() => onReject({ only, documents: group.staged })}
            >
              <Icon name="close" />
            </button>
          </>
        )}
      </span>
    </li>
  );
}

function toOnly({ by, value }: GroupView): Only | undefined {
  return by === "type" || by === "language" || by === "theme" || by === "folder" ? { by, value } : undefined;
}

function Failures({ summary: { failures } }: { summary: BatchSummary }) {
  const { words, language } = useSpeech();
  if (failures.length === 0) return null;
  return (
    <section className="section">
      <h2>{words.batches.failures}</h2>
      <ul className="rows">
        {failures.map(({ id, name, problem, message }) => (
          <li key={id} className="row">
            <a className="row-head" href={toDocumentHref(id)}>
              <span className="row-name">
                <DocumentName name={name} />
                <span className="row-why">{language === "en" ? message : words.problems[problem]}</span>
              </span>
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Documents({ batch }: { batch: BatchView }) {
  const { words } = useSpeech();
  const { results, status, loadMore } = usePaginatedQuery(
    api.batches.documents,
    { id: batch.id },
    { initialNumItems: documentsAtFirst },
  );
  if (results.length === 0) return null;
  return (
    <section className="section">
      <h2>{words.batches.documents}</h2>
      <ul className="rows">
        {results.map((document) => (
          <li key={document.id} className="row">
            <a className="row-head" href={toDocumentHref(document.id)}>
              <span className="row-name">
                <DocumentName name={document.name} />
              </span>
              <StateChip state={document.state} />
            </a>
            {document.state === "reading" && (
              <ProgressBar label={words.documents.progress(document.name)} progress={document.progress} />
            )}
          </li>
        ))}
      </ul>
      {status === "CanLoadMore" && (
        <button type="button" className="button more" onClick={() => loadMore(2 * documentsAtFirst)}>
          {words.documents.more}
        </button>
      )}
    </section>
  );
}
