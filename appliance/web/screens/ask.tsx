import { useQuery } from "convex/react";
import { api } from "../../../convex/_generated/api.js";
import type { Answer, Understood } from "../../../convex/model/answer.ts";
import type { Asking } from "../ask.ts";
import { Empty } from "../components/empty.tsx";
import { groupName } from "../components/groupName.ts";
import { Icon } from "../components/icon.tsx";
import { PassageView } from "../components/passageView.tsx";
import { PictureStrip } from "../components/pictureStrip.tsx";
import { QuestionBox } from "../components/questionBox.tsx";
import { SearchFilters } from "../components/searchFilters.tsx";
import { Skeleton } from "../components/skeleton.tsx";
import { totalOf } from "../components/applianceStatus.tsx";
import { useSpeech } from "../language/language.tsx";
import { sentenceOf } from "../language/sentence.ts";
import { toHref } from "../route.ts";

/** Ask, and read what the documents say. */
export function AskScreen({ asking }: { asking: Asking }) {
  const { words } = useSpeech();
  const { inquiry } = asking;
  return (
    <div className={`screen ask ${inquiry.state === "none" ? "is-resting" : ""}`}>
      <h1 className="invitation">
        {inquiry.state === "none" ? words.ask.invitation : <span className="unseen">{words.ask.title}</span>}
      </h1>
      <QuestionBox asking={asking} />
      <SearchFilters limits={asking.limits} onChange={asking.limit} />
      {inquiry.state === "none" && <Resting asking={asking} />}
      <div aria-live="polite" aria-busy={inquiry.state === "asking"}>
        {inquiry.state === "asking" && <Searching previous={inquiry.previous} />}
        {inquiry.state === "failed" && <Failed asking={asking} />}
        {inquiry.state === "answered" && <Answered answer={inquiry.answer} />}
      </div>
    </div>
  );
}

/** Under the empty box: what to expect, or what to do first. */
function Resting({ asking }: { asking: Asking }) {
  const { words } = useSpeech();
  const counts = useQuery(api.documents.counts);
  const about = useQuery(api.appliance.status);
  if (counts && totalOf(counts) === 0)
    return (
      <Empty title={words.ask.noDocuments} hint={words.ask.noDocumentsHint}>
        <a className="button primary" href={toHref("documents")}>
          <Icon name="plus" />
          {words.ask.addDocuments}
        </a>
      </Empty>
    );
  return (
    <div className="resting">
      <p>
        {words.ask.promise} {about?.embedder.isBaseline === true && words.ask.baselineNote}
      </p>
      {asking.earlier.length > 0 && (
        <div className="earlier">
          <h2>{words.ask.earlier}</h2>
          {asking.earlier.map((question) => (
            <button key={question} type="button" className="earlier-question" onClick={() => asking.ask(question)}>
              {question}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

/** An answer takes milliseconds, so the one before stays, paling, rather than to blink away. */
function Searching({ previous }: { previous: Answer | undefined }) {
  const { ask } = useSpeech().words;
  return (
    <div className="searching">
      <p className="unseen">{ask.searching}</p>
      {previous ? <Answered answer={previous} /> : <Skeleton rows={4} />}
    </div>
  );
}

function Failed({ asking }: { asking: Asking }) {
  const { words, language } = useSpeech();
  const { inquiry } = asking;
  if (inquiry.state !== "failed") return null;
  return (
    <Empty title={words.ask.failed} hint={sentenceOf(inquiry.failure, language, words)}>
      <button type="button" className="button" onClick={() => asking.ask(inquiry.question)}>
        <Icon name="retry" />
        {words.ask.again}
      </button>
    </Empty>
  );
}

/** What Nika took the question to say, so that a wrong guess is seen. */
function UnderstoodLine({ understood: { filter, phrases, codes, corrections } }: { understood: Understood }) {
  const { words, languageName, when } = useSpeech();
  const { ask } = words;
  const parts = [
    ...(filter.types ?? []).map((value) => groupName({ by: "type", value }, words, languageName)),
    ...(filter.languages ?? []).map((code) => languageName(code)),
    ...(filter.from !== undefined ? [ask.since(when(filter.from))] : []),
    // The end itself is the first moment that is not meant.
    ...(filter.to !== undefined ? [ask.until(when(filter.to - 1))] : []),
    ...phrases.map((phrase) => ask.wordForWord(phrase)),
    ...codes,
    ...corrections.map(({ word, read }) => ask.readAs(word, read.join(", "))),
  ];
  if (parts.length === 0) return null;
  return (
    <p className="fine" data-testid="understood">
      {ask.preferred} {parts.join(" · ")}
    </p>
  );
}

function Answered({ answer }: { answer: Answer }) {
  const { words } = useSpeech();
  const { ask } = words;
  const { passages, embedder, pictures = [], sight } = answer;
  if (passages.length === 0 && pictures.length === 0)
    return (
      <Empty title={ask.nothingFound} hint={ask.nothingFoundHint}>
        <p className="fine">{embedder.isBaseline ? ask.baseline : ask.neural(embedder.label)}</p>
      </Empty>
    );
  return (
    <>
      <p className="found">
        <strong>{ask.found(passages.length)}</strong> <span>{ask.took(Math.round(answer.tookMs))}</span>
      </p>
      <UnderstoodLine understood={answer.understood} />
      {sight && <PictureStrip pictures={pictures} sight={sight} />}
      <ol className="passages">
        {passages.map((passage) => (
          <PassageView
            key={`${passage.documentId} ${passage.ordinal}`}
            passage={passage}
            question={answer.question}
            useKey={answer.useKey}
          />
        ))}
      </ol>
      <p className="fine">
        {ask.quotations} {embedder.isBaseline ? ask.baseline : ask.neural(embedder.label)}
      </p>
    </>
  );
}
