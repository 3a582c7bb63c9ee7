import { useQuery } from "convex/react";
import { useCallback, useState, type ReactNode } from "react";
import type { FunctionReturnType } from "convex/server";
import { api } from "../../../convex/_generated/api.js";
import type { Id } from "../../../convex/_generated/dataModel.js";
import type { Contradiction, DocumentView, Element } from "../../../convex/model/document.ts";
import { placeLabel } from "../../../convex/model/place.ts";
import { EditDialog } from "../components/editDialog.tsx";
import { Empty } from "../components/empty.tsx";
import { ForgetDialog } from "../components/forgetDialog.tsx";
import { groupName } from "../components/groupName.ts";
import { Icon } from "../components/icon.tsx";
import { PageImage } from "../components/pageImage.tsx";
import { ProgressBar } from "../components/progressBar.tsx";
import { Skeleton } from "../components/skeleton.tsx";
import { StateChip } from "../components/stateChip.tsx";
import { usePassages, type ShownPassage } from "../documentPassages.ts";
import { useSpeech } from "../language/language.tsx";
import { toDocumentHref, toHref } from "../route.ts";

type Detail = NonNullable<FunctionReturnType<typeof api.documents.detail>>;

/** Everything there is to know about one document, and what it says. */
export function DocumentScreen({ id, passage }: { id: string; passage: number | undefined }) {
  const { words } = useSpeech();
  const detail = useQuery(api.documents.detail, { id: id as Id<"documents"> });
  return (
    <div className="screen document">
      <a className="back always" href={toHref("documents")}>
        <Icon name="chevron" />
        {words.documents.title}
      </a>
      {detail === undefined && <Skeleton rows={5} />}
      {detail === null && <Empty title={words.document.gone} hint={words.document.goneHint} />}
      {detail && (
        <>
          <Head detail={detail} />
          <div className="columns">
            <div>
              <Pictures document={detail.document} />
              <Passages key={id} document={detail.document} from={passage} />
            </div>
            <div>
              <Facts detail={detail} />
              <Contradictions contradictions={detail.document.reading?.contradictions ?? []} />
              <Elements elements={detail.document.reading?.elements ?? []} />
              <Others detail={detail} />
            </div>
          </div>
        </>
      )}
    </div>
  );
}

function Head({ detail: { document } }: { detail: Detail }) {
  const { words, language } = useSpeech();
  const [isEditing, setEditing] = useState(false);
  const [forgetting, setForgetting] = useState<DocumentView>();
  const stopForgetting = useCallback(() => setForgetting(undefined), []);
  const { name, state, labels, reading, problem, progress } = document;
  return (
    <header className="document-head">
      <div className="screen-head">
        <h1>{labels?.title ?? reading?.title ?? name.slice(name.lastIndexOf("/") + 1)}</h1>
        <StateChip state={state} />
      </div>
      <p className="lead document-path">{name}</p>
      {problem && <p className="row-why">{language === "en" ? problem.message : words.problems[problem.problem]}</p>}
      {state === "reading" && <ProgressBar label={words.documents.progress(name)} progress={progress} />}
      {state !== "forgetting" && (
        <div className="actions">
          <button type="button" className="button small" data-testid="document-edit" onClick={() => setEditing(true)}>
            {words.document.edit}
          </button>
          <button type="button" className="button small danger" onClick={() => setForgetting(document)}>
            <Icon name="trash" />
            {words.documents.forget}
          </button>
        </div>
      )}
      <EditDialog document={document} isOpen={isEditing} onClose={() => setEditing(false)} />
      <ForgetDialog document={forgetting} onClose={stopForgetting} />
    </header>
  );
}

function Facts({ detail }: { detail: Detail }) {
  const { words, bytes, when, languageName, number } = useSpeech();
  const { document: say } = words;
  const { document, names, parent, hasFile } = detail;
  const { reading, labels } = document;
  const type = labels?.entityType ?? reading?.entityType;
  const facts: { term: string; value: ReactNode }[] = [
    { term: say.type, value: type && groupName({ by: "type", value: type }, words, languageName) },
    { term: words.documents.format, value: reading && words.formats[reading.format] },
    { term: words.documents.language, value: reading && languageName(labels?.language ?? reading.language) },
    { term: say.theme, value: labels?.domain },
    { term: say.scope, value: labels?.scope && say.scopes[labels.scope as keyof typeof say.scopes] },
    { term: say.author, value: reading?.author },
    { term: say.written, value: reading?.writtenAt !== undefined && when(reading.writtenAt) },
    { term: say.pages, value: reading?.pages !== undefined && number(reading.pages) },
    {
      term: say.recognised,
      value: reading?.recognised && say.recognisedOf(reading.recognised.pages, reading.recognised.confidence),
    },
    { term: say.tables, value: reading?.tables && number(reading.tables) },
    { term: words.documents.size, value: bytes(document.sizeBytes) },
    { term: words.documents.added, value: when(document.addedAt) },
    { term: say.parent, value: parent && <a href={toDocumentHref(parent.id)}>{parent.name}</a> },
    { term: say.names, value: names.length > 0 && names.join(", ") },
    {
      term: say.file,
      value: hasFile && (
        <a href={`/files/${document.id}`} download>
          {say.download}
        </a>
      ),
    },
  ];
  return (
    <section className="section">
      <h2>{say.facts}</h2>
      <dl className="facts card">
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
    </section>
  );
}

function Elements({ elements }: { elements: readonly Element[] }) {
  const { document: say } = useSpeech().words;
  if (elements.length === 0) return null;
  return (
    <section className="section">
      <h2>{say.elements}</h2>
      <ul className="card elements">
        {elements.map(({ type, text, value, isValid }, at) => (
          // Nothing else tells two of the same apart.
          <li key={at}>
            <span className="element-type">{say.elementTypes[type] ?? type}</span>
            <span className="element-value">{value || text}</span>
            {isValid === false && <span className="element-invalid">{say.invalid}</span>}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Where a figure shows another number than the text gives. */
function Contradictions({ contradictions }: { contradictions: readonly Contradiction[] }) {
  const { document: say } = useSpeech().words;
  if (contradictions.length === 0) return null;
  return (
    <section className="section" data-testid="contradictions">
      <h2>{say.contradictions}</h2>
      <ul className="card elements">
        {contradictions.map(({ label, stated, read, page }, at) => (
          // Nothing else tells two of the same apart.
          <li key={at}>
            <span className="element-value">{say.contradiction(label, stated, read)}</span>
            {page !== undefined && <span className="fine">{say.page(page)}</span>}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Versions, near-duplicates, and what it holds. */
function Others({ detail: { document, versions, alike, entries } }: { detail: Detail }) {
  const { words, when, bytes } = useSpeech();
  const { document: say } = words;
  return (
    <>
      <Links
        title={say.versions}
        links={versions.map(({ id, version = 1, state, addedAt, sizeBytes }) => ({
          id,
          name: say.version(version),
          note: [state === "ready" ? say.inUse : words.documents.states[state], when(addedAt), bytes(sizeBytes)].join(" · "),
          isHere: id === document.id,
        }))}
      />
      <Links title={say.alike} links={alike.map(({ id, name, share }) => ({ id, name, note: say.share(share) }))} />
      <Links
        title={say.entries}
        links={entries.map(({ id, name, state }) => ({
          id,
          name: name.startsWith(`${document.name}/`) ? name.slice(document.name.length + 1) : name,
          note: words.documents.states[state],
        }))}
      />
      {document.reading?.hasMore === true && <p className="fine">{say.hasMore}</p>}
    </>
  );
}

type LinkRow = { readonly id: string; readonly name: string; readonly note: string; readonly isHere?: boolean };

function Links({ title, links }: { title: string; links: readonly LinkRow[] }) {
  if (links.length === 0) return null;
  return (
    <section className="section">
      <h2>{title}</h2>
      <ul className="card links">
        {links.map(({ id, name, note, isHere = false }) => (
          <li key={id}>
            {isHere ? <strong>{name}</strong> : <a href={toDocumentHref(id)}>{name}</a>}
            <span className="fine">{note}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Pictures({ document }: { document: DocumentView }) {
  const { document: say } = useSpeech().words;
  const pictures = useQuery(api.pictures.ofDocument, document.reading?.pictures ? { documentId: document.id } : "skip");
  if (!pictures || pictures.length === 0) return null;
  return (
    <section className="section">
      <h2>{say.pictures}</h2>
      <ul className="gallery">
        {pictures.map(({ id, ordinal, caption, text, page, width, height }) => (
          <li key={id}>
            <a href={`/pictures/${id}`} target="_blank" rel="noreferrer">
              <img
                src={`/pictures/${id}`}
                alt={caption ?? say.picture(ordinal + 1)}
                width={width}
                height={height}
                loading="lazy"
              />
            </a>
            <span className="fine">
              {[caption ?? say.picture(ordinal + 1), page === undefined ? "" : say.page(page)].filter(Boolean).join(" · ")}
            </span>
            {text && <span className="picture-text">{text}</span>}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Passages({ document, from = 0 }: { document: DocumentView; from: number | undefined }) {
  const { document: say } = useSpeech().words;
  const total = document.state === "ready" || document.state === "staged" ? (document.reading?.passages ?? 0) : 0;
  const { passages, more } = usePassages(document.id, { from, total });
  if (total === 0) return null;
  return (
    <section className="section">
      <h2>{say.passages}</h2>
      {passages.length === 0 && <Skeleton rows={3} />}
      <ol className="passages">
        {passages.map((passage) => (
          <Passage key={passage.ordinal} document={document} passage={passage} isFirst={passage.ordinal === from && from > 0} />
        ))}
      </ol>
      {more && (
        <button type="button" className="button more" onClick={more}>
          {say.morePassages}
        </button>
      )}
    </section>
  );
}

type PassageProps = { readonly document: DocumentView; readonly passage: ShownPassage; readonly isFirst: boolean };

function Passage({ document, passage: { text, place, kind }, isFirst }: PassageProps) {
  const { words, language } = useSpeech();
  const page = pageOf(document, place.page);
  const [isShown, setShown] = useState(isFirst && page !== undefined);
  const label = placeLabel(place, language);
  return (
    <li className="passage" data-testid="document-passage">
      {label !== "" && <p className="passage-place">{label}</p>}
      <div className={`passage-text ${kind === "table" || kind === "code" ? "as-is" : ""}`}>{text}</div>
      {page !== undefined && (
        <>
          <button type="button" className="passage-more" aria-expanded={isShown} onClick={() => setShown((was) => !was)}>
            {isShown ? words.document.hidePage : words.document.showPage}
          </button>
          {isShown && <PageImage documentId={document.id} page={page} box={place.box} />}
        </>
      )}
    </li>
  );
}

/** A picture is its own only page. */
function pageOf({ reading }: DocumentView, page: number | undefined): number | undefined {
  if (page !== undefined) return reading?.format === "pdf" || reading?.format === "image" ? page : undefined;
  return reading?.format === "image" ? 1 : undefined;
}
