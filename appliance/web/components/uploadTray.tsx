import type { Words } from "../language/words.ts";
import { useSpeech } from "../language/language.tsx";
import { isEnded, type Upload, type UploadState } from "../upload/upload.ts";
import { useUploads } from "../upload/uploadsProvider.tsx";
import { DocumentName } from "./documentName.tsx";
import { Icon } from "./icon.tsx";
import { ProgressBar } from "./progressBar.tsx";

/** Enough to see what is going on; a folder of a thousand is summed up. */
const rowsMax = 5;

const order: readonly UploadState["type"][] = ["sending", "failed", "refused", "checking", "waiting", "known", "added"];

/** The files on their way in, each with its progress, and what became of them. */
export function UploadTray() {
  const { words } = useSpeech();
  const { uploads, list } = useUploads();
  if (list.length === 0) return null;
  const ended = list.filter(isEnded).length;
  const isDone = ended === list.length;
  // When all is over, what went in is on the list below; here stays what did not.
  const told = isDone ? list.filter(({ state }) => state.type !== "added") : list;
  const shown = told.toSorted((a, b) => weight(a) - weight(b)).slice(0, rowsMax);
  const done = list.reduce((sum, upload) => sum + shareOf(upload), 0);
  const hasFailed = list.some(({ state }) => state.type === "failed");
  return (
    <section className="tray" aria-label={words.uploads.label} data-testid="uploads">
      <div className="tray-head">
        <p role="status">
          <strong>
            {isDone && !hasFailed
              ? words.uploads.finished
              : words.uploads.sending(Math.min(Math.floor(done) + 1, list.length), list.length)}
          </strong>
          <span className="tray-sums">{sumsOf(list, words).join(" · ")}</span>
        </p>
        {hasFailed && (
          <button type="button" className="button small" onClick={() => uploads.retry()}>
            <Icon name="retry" />
            {words.uploads.retry}
          </button>
        )}
        {isDone && (
          <button type="button" className="icon-button" aria-label={words.uploads.dismiss} onClick={() => uploads.clear()}>
            <Icon name="close" />
          </button>
        )}
      </div>
      {!isDone && <ProgressBar label={words.uploads.label} progress={{ done, total: list.length }} />}
      <ul className="tray-list">
        {shown.map((upload) => (
          <UploadRow key={upload.key} upload={upload} />
        ))}
        {told.length > rowsMax && <li className="tray-more">{words.uploads.more(told.length - rowsMax)}</li>}
      </ul>
    </section>
  );
}

function UploadRow({ upload }: { upload: Upload }) {
  const { words, bytes } = useSpeech();
  const { name, sizeBytes, state } = upload;
  const progress = state.type === "sending" ? { done: state.sentBytes, total: sizeBytes } : undefined;
  return (
    <li className={`upload ${state.type}`} data-testid="upload-row" data-state={state.type}>
      <DocumentName name={name} />
      <span className="upload-state">{toText(upload, words)}</span>
      {progress ? <ProgressBar label={words.uploads.progress(name)} progress={progress} /> : null}
      {state.type === "refused" && <span className="upload-why">{words.problems[state.problem]}</span>}
      {state.type === "failed" && <span className="upload-why">{words.uploads.interrupted}</span>}
      {state.type === "waiting" && <span className="upload-why">{bytes(sizeBytes)}</span>}
    </li>
  );
}

/** What is moving first, then what needs the owner, then what waits, then what is over. */
function weight(upload: Upload): number {
  if (upload.state.type === "sending" && shareOf(upload) === 1) return order.indexOf("added");
  return order.indexOf(upload.state.type);
}

/** How much of a file is through, from 0 to 1. */
function shareOf({ state, sizeBytes }: Upload): number {
  if (state.type === "sending") return Math.min(state.sentBytes / sizeBytes, 1);
  return isEnded({ state }) ? 1 : 0;
}

function toText(upload: Upload, words: Words): string {
  const { state } = upload;
  switch (state.type) {
    case "sending":
      return words.uploads.sendingOne(shareOf(upload));
    case "waiting":
    case "checking":
    case "added":
    case "known":
    case "refused":
    case "failed":
      return words.uploads[state.type];
  }
}

function sumsOf(list: readonly Upload[], { uploads }: Words): string[] {
  const count = (type: UploadState["type"]): number => list.filter(({ state }) => state.type === type).length;
  const sums = [
    { many: count("added"), say: uploads.addedCount },
    { many: count("known"), say: uploads.knownCount },
    { many: count("refused"), say: uploads.refusedCount },
    { many: count("failed"), say: uploads.failedCount },
  ];
  return sums.filter(({ many }) => many > 0).map(({ many, say }) => say(many));
}
