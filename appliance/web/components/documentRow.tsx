import { useMutation } from "convex/react";
import { memo, useId, useState } from "react";
import { api } from "../../../convex/_generated/api.js";
import type { DocumentView, Problem } from "../../../convex/model/document.ts";
import { useSpeech } from "../language/language.tsx";
import { toDocumentHref } from "../route.ts";
import { DocumentName } from "./documentName.tsx";
import { Icon } from "./icon.tsx";
import { useAttempt } from "./notice.tsx";
import { ProgressBar } from "./progressBar.tsx";
import { StateChip } from "./stateChip.tsx";

type Props = { readonly document: DocumentView; readonly onForget: (document: DocumentView) => void };

/** The others are about the bytes, which trying again does not change. */
const retryable: ReadonlySet<Problem> = new Set(["failed", "tooSlow"]);

/** One document: its name and state at a glance, the rest and what can be done when it is opened. */
export const DocumentRow = memo(function DocumentRow({ document, onForget }: Props) {
  const { words } = useSpeech();
  const [isOpen, setOpen] = useState(false);
  const panel = useId();
  const { name, state, progress } = document;
  return (
    <li className={`row ${state}`} data-testid="document-row" data-document-id={document.id}>
      <button
        type="button"
        className="row-head"
        aria-expanded={isOpen}
        aria-controls={panel}
        onClick={() => setOpen((was) => !was)}
      >
        <span className="row-name">
          <DocumentName name={name} />
          <Summary document={document} />
        </span>
        <StateChip state={state} />
        <Icon name="chevron" />
      </button>
      {state === "reading" && (
        <ProgressBar label={words.documents.progress(name)} progress={progress} testId="document-progress" />
      )}
      <div id={panel} className="row-panel" hidden={!isOpen}>
        {isOpen && <Details document={document} onForget={onForget} />}
      </div>
    </li>
  );
});

/** The second line: why not, how far, or how much. */
function Summary({ document }: { document: DocumentView }) {
  const { words, bytes, when } = useSpeech();
  const why = useProblem(document);
  const { state, progress, reading } = document;
  if (why !== undefined) return <span className="row-why">{why}</span>;
  const parts =
    state === "reading" && progress
      ? [words.documents.passagesDone(progress.done, progress.total)]
      : [
          reading?.entries !== undefined
            ? words.documents.entries(reading.entries)
            : reading && words.status.passages(reading.passages),
          reading?.pages !== undefined && words.documents.pages(reading.pages),
          bytes(document.sizeBytes),
          when(document.addedAt),
        ];
  return <span className="row-facts">{parts.filter(Boolean).join(" · ")}</span>;
}

function Details({ document, onForget }: Props) {
  const { words, bytes, when, languageName } = useSpeech();
  const retry = useMutation(api.documents.retry);
  const attempt = useAttempt();
  const { id, state, reading, problem } = document;
  const facts = [
    { term: words.documents.heading, value: reading?.title },
    { term: words.documents.format, value: reading && words.formats[reading.format] },
    { term: words.documents.language, value: reading && languageName(reading.language) },
    { term: words.documents.size, value: bytes(document.sizeBytes) },
    { term: words.documents.added, value: when(document.addedAt) },
  ];
  return (
    <>
      <dl className="facts">
        {facts.map(
          ({ term, value }) =>
            value && (
              <div key={term}>
                <dt>{term}</dt>
                <dd>{value}</dd>
              </div>
            ),
        )}
      </dl>
      <div className="actions">
        <a className="button small" href={toDocumentHref(id)} data-testid="document-look">
          <Icon name="eye" />
          {words.documents.look}
        </a>
        {state === "unreadable" && problem && retryable.has(problem.problem) && (
          <button
            type="button"
            className="button small"
            data-testid="document-retry"
            onClick={() => attempt(() => retry({ id }))}
          >
            <Icon name="retry" />
            {words.documents.retry}
          </button>
        )}
        {state !== "forgetting" && (
          <button type="button" className="button small danger" data-testid="document-forget" onClick={() => onForget(document)}>
            <Icon name="trash" />
            {words.documents.forget}
          </button>
        )}
      </div>
    </>
  );
}

/** The appliance's own sentence is the more precise one; it speaks English. */
function useProblem({ state, problem }: DocumentView): string | undefined {
  const { words, language } = useSpeech();
  if (state !== "unreadable" || !problem) return undefined;
  return language === "en" ? problem.message : words.problems[problem.problem];
}
