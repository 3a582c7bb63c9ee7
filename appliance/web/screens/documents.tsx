import { useQuery } from "convex/react";
import { useCallback, useState } from "react";
import { api } from "../../../convex/_generated/api.js";
import type { DocumentCounts, DocumentState, DocumentView } from "../../../convex/model/document.ts";
import { AddFiles } from "../components/addFiles.tsx";
import { totalOf } from "../components/applianceStatus.tsx";
import { BatchList } from "../components/batchList.tsx";
import { DocumentRow } from "../components/documentRow.tsx";
import { Empty } from "../components/empty.tsx";
import { ForgetDialog } from "../components/forgetDialog.tsx";
import { Icon } from "../components/icon.tsx";
import { Skeleton } from "../components/skeleton.tsx";
import { UploadTray } from "../components/uploadTray.tsx";
import { useDocumentList } from "../documentList.ts";
import { useSpeech } from "../language/language.tsx";
import { useUploads } from "../upload/uploadsProvider.tsx";

const states: readonly DocumentState[] = ["reading", "waiting", "staged", "ready", "unreadable", "replaced", "forgetting"];

/** What Nika holds, live; and the way in for more. */
export function DocumentsScreen() {
  const { words } = useSpeech();
  const counts = useQuery(api.documents.counts);
  const { list } = useUploads();
  const isEmpty = counts !== undefined && totalOf(counts) === 0;
  return (
    <div className="screen documents">
      <div className="screen-head">
        <h1>{words.documents.title}</h1>
        <AddFiles />
      </div>
      <UploadTray />
      <BatchList />
      {isEmpty && list.length === 0 && (
        <Empty title={words.documents.empty} hint={words.documents.emptyHint}>
          <p className="drop-hint">{words.documents.dropHint}</p>
        </Empty>
      )}
      {!isEmpty && <Shelf counts={counts} />}
    </div>
  );
}

function Shelf({ counts }: { counts: DocumentCounts | undefined }) {
  const { words } = useSpeech();
  const [state, setState] = useState<DocumentState>();
  const [search, setSearch] = useState("");
  const [forgetting, setForgetting] = useState<DocumentView>();
  const { documents, more } = useDocumentList(state, search);
  const onForget = useCallback((document: DocumentView) => setForgetting(document), []);
  return (
    <>
      <div className="shelf-tools">
        <Search value={search} onChange={setSearch} />
        <StateFilter counts={counts} value={state} onChange={setState} />
      </div>
      {documents === undefined && <Skeleton rows={6} />}
      {documents?.length === 0 && <Empty title={words.documents.noMatch} hint={words.documents.noMatchHint} />}
      <ul className="rows" data-testid="documents">
        {documents?.map((document) => (
          <DocumentRow key={document.id} document={document} onForget={onForget} />
        ))}
      </ul>
      {more && (
        <button type="button" className="button more" onClick={more}>
          {words.documents.more}
        </button>
      )}
      <p className="drop-hint">{words.documents.dropHint}</p>
      <ForgetDialog document={forgetting} onClose={() => setForgetting(undefined)} />
    </>
  );
}

function Search({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const { documents } = useSpeech().words;
  return (
    <div className="search">
      <Icon name="search" />
      <input
        type="search"
        value={value}
        placeholder={documents.search}
        aria-label={documents.search}
        autoComplete="off"
        data-testid="document-search"
        onChange={(event) => onChange(event.target.value)}
      />
    </div>
  );
}

type FilterProps = {
  readonly counts: DocumentCounts | undefined;
  readonly value: DocumentState | undefined;
  readonly onChange: (value: DocumentState | undefined) => void;
};

/** Only the states that have documents, and the one chosen. */
function StateFilter({ counts, value, onChange }: FilterProps) {
  const { words, number } = useSpeech();
  const offered = states.filter((state) => state === value || (counts?.[state] ?? 0) > 0);
  return (
    <div className="filter" role="group" aria-label={words.documents.filter}>
      {[undefined, ...offered].map((state) => (
        <button
          key={state ?? "all"}
          type="button"
          className="filter-option"
          aria-pressed={state === value}
          onClick={() => onChange(state)}
        >
          {state === undefined ? words.documents.all : words.documents.states[state]}
          {counts && <span className="filter-count">{number(state === undefined ? totalOf(counts) : counts[state])}</span>}
        </button>
      ))}
    </div>
  );
}
