import { useMutation, useQuery } from "convex/react";
import { useCallback, useId, useState } from "react";
import { api } from "../../../convex/_generated/api.js";
import type { CitedPassage } from "../../../convex/model/answer.ts";
import { placeLabel } from "../../../convex/model/place.ts";
import type { ReactionType } from "../../../convex/model/use.ts";
import { useSpeech } from "../language/language.tsx";
import { toExcerpt, toQuotation, toSegments, type Segment } from "../passage/segments.ts";
import { toTable, type Table } from "../passage/table.ts";
import { toDocumentHref } from "../route.ts";
import { DocumentName } from "./documentName.tsx";
import { useAttempt } from "./notice.tsx";
import { PageImage } from "./pageImage.tsx";

type PassageViewProps = {
  readonly passage: CitedPassage;
  /** What was asked, and the key of the answer that it is in. */
  readonly question: string;
  readonly useKey: string | undefined;
};

/** One quotation: the sentences that answer marked, with where they stand. */
export function PassageView({ passage, question, useKey }: PassageViewProps) {
  const { words, language } = useSpeech();
  const react = useMutation(api.uses.react);
  const note = useCallback(
    (type: ReactionType) => {
      const { documentId, ordinal } = passage;
      // Whether it is remembered is decided there; that it was not is no trouble of the reader's.
      if (useKey !== undefined) void react({ key: useKey, type, documentId, ordinal }).catch(() => undefined);
    },
    [passage, react, useKey],
  );
  const [isOpen, setOpen] = useState(false);
  const [hasPage, setHasPage] = useState(false);
  const text = useId();
  const table = passage.kind === "table" ? toTable(passage.text, passage.highlights) : undefined;
  const excerpt = toExcerpt(passage.text, passage.highlights);
  const segments = isOpen ? toSegments(passage.text, passage.highlights) : excerpt.segments;
  const place = placeLabel(passage.place, language);
  return (
    <li className="passage" data-testid="passage" data-document-id={passage.documentId} onCopy={() => note("copied")}>
      <header className="passage-head">
        <span className="passage-source">
          <DocumentName name={passage.documentName} />
          {place !== "" && (
            <span className="passage-place" data-testid="passage-place">
              {place}
            </span>
          )}
        </span>
        <Match score={passage.score} />
      </header>
      {table ? (
        <Rows table={table} />
      ) : (
        <blockquote id={text} className="passage-text" data-testid="passage-text">
          {segments.map((segment, index) => (
            // The order never changes within one text, so the position is the identity.
            <Piece key={index} segment={segment} />
          ))}
        </blockquote>
      )}
      {hasPage && passage.place.page !== undefined && (
        <PageImage documentId={passage.documentId} page={passage.place.page} box={passage.place.box} />
      )}
      {passage.alike && (
        <p className="fine">{words.ask.alike(passage.alike.map(({ documentName }) => documentName).join(", "))}</p>
      )}
      <p className="passage-ways">
        <a href={toDocumentHref(passage.documentId, passage.ordinal)} onClick={() => note("opened")}>
          {words.ask.open}
        </a>
        {passage.place.page !== undefined && (
          <button type="button" className="passage-more" aria-expanded={hasPage} onClick={() => setHasPage((was) => !was)}>
            {hasPage ? words.ask.hidePage : words.ask.showPage}
          </button>
        )}
        <Cite passage={passage} place={place} onCite={() => note("cited")} />
        {useKey !== undefined && <Thumbs onRate={note} pinned={{ question, documentId: passage.documentId }} />}
      </p>
      {!table && !excerpt.isWhole && (
        <button
          type="button"
          className="passage-more"
          aria-expanded={isOpen}
          aria-controls={text}
          onClick={() => setOpen((was) => !was)}
        >
          {isOpen ? words.ask.less : words.ask.more}
        </button>
      )}
    </li>
  );
}

/** Whether the passage helped: asked only where such things are remembered. The last word counts. */
function Thumbs({ onRate, pinned }: { onRate: (type: "liked" | "disliked") => void; pinned: Pinned }) {
  const { ask } = useSpeech().words;
  const learning = useQuery(api.uses.get);
  const [rated, setRated] = useState<"liked" | "disliked">();
  if (!learning || learning.scopes.length === 0) return null;
  return (
    <>
      {(["liked", "disliked"] as const).map((type) => (
        <button
          key={type}
          type="button"
          className="passage-more"
          aria-pressed={rated === type}
          data-testid={`passage-${type}`}
          onClick={() => {
            setRated(type);
            onRate(type);
          }}
        >
          {rated === type && "✓ "}
          {ask[type]}
        </button>
      ))}
      {rated === "liked" && <Pin pinned={pinned} />}
    </>
  );
}

type Pinned = { readonly question: string; readonly documentId: string };

/** A question that was answered well may be kept answered, whatever model comes. */
function Pin({ pinned: { question, documentId } }: { pinned: Pinned }) {
  const { ask } = useSpeech().words;
  const pins = useQuery(api.comparisons.pins);
  const pin = useMutation(api.comparisons.pin);
  const attempt = useAttempt();
  const isPinned = pins?.some((one) => one.question === question.trim() && one.documentId === documentId) ?? false;
  return (
    <button
      type="button"
      className="passage-more"
      disabled={isPinned || pins === undefined}
      data-testid="passage-pin"
      onClick={() => attempt(() => pin({ question, documentId }))}
    >
      {isPinned ? ask.pinned : ask.pin}
    </button>
  );
}

type CiteProps = { readonly passage: CitedPassage; readonly place: string; readonly onCite: () => void };

/** The sentences that answer with where they stand, for a text of one's own: the passage was cited. */
function Cite({ passage, place, onCite }: CiteProps) {
  const { ask } = useSpeech().words;
  const [isCopied, setCopied] = useState(false);
  // Browsers lend the clipboard to pages of this machine and to encrypted ones only.
  const { clipboard } = navigator as { readonly clipboard?: Clipboard };
  if (!clipboard) return null;
  const said = toQuotation(passage.text, passage.highlights);
  const source = place === "" ? passage.documentName : `${passage.documentName}, ${place}`;
  const copy = async (): Promise<void> => {
    await clipboard.writeText(ask.quotation(said, source));
    setCopied(true);
    onCite();
  };
  return (
    <button
      type="button"
      className="passage-more"
      data-testid="passage-cite"
      onClick={() => void copy().catch(() => setCopied(false))}
    >
      {isCopied ? ask.cited : ask.cite}
    </button>
  );
}

/** The rows that were found, as a table again; those that answer are marked. */
function Rows({ table: { caption, columns, rows } }: { table: Table }) {
  return (
    <div className="passage-table" data-testid="passage-text">
      <table>
        {caption !== "" && <caption>{caption}</caption>}
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column} scope="col">
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ cells, isMarked }, row) => (
            <tr key={row} className={isMarked ? "is-marked" : undefined}>
              {cells.map((cell, column) => (
                <td key={column}>{cell}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Piece({ segment }: { segment: Segment }) {
  return segment.isMarked ? <mark>{segment.text}</mark> : segment.text;
}

/** The score as a stroke that is longer when the match is better. */
function Match({ score }: { score: number }) {
  const { ask } = useSpeech().words;
  const label = ask.match(score);
  const percent = Math.round(Math.min(Math.max(score, 0), 1) * 100);
  return (
    <span
      className="match"
      role="meter"
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={percent}
      aria-label={label}
      title={label}
    >
      <span style={{ inlineSize: `${percent}%` }} />
    </span>
  );
}
