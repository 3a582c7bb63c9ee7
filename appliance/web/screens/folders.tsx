import { useMutation, useQuery } from "convex/react";
import { useId, useState, type FormEvent } from "react";
import { api } from "../../../convex/_generated/api.js";
import type { WatchMode, WatchView } from "../../../convex/model/watch.ts";
import { Choice } from "../components/choice.tsx";
import { Empty } from "../components/empty.tsx";
import { Icon } from "../components/icon.tsx";
import { useAttempt } from "../components/notice.tsx";
import { Skeleton } from "../components/skeleton.tsx";
import { useSpeech } from "../language/language.tsx";
import { toHref } from "../route.ts";

/** Folders of the machine that are followed, and the way to name another. */
export function FoldersScreen() {
  const { words } = useSpeech();
  const watches = useQuery(api.watches.list);
  return (
    <div className="screen">
      <a className="back always" href={toHref("documents")}>
        <Icon name="chevron" />
        {words.documents.title}
      </a>
      <div className="screen-head">
        <h1>{words.folders.title}</h1>
      </div>
      <p className="lead">{words.folders.text}</p>
      <AddFolder />
      {watches === undefined && <Skeleton rows={2} />}
      {watches?.length === 0 && <Empty title={words.folders.none} hint={words.folders.noneHint} />}
      <ul className="rows">
        {watches?.map((watch) => (
          <Folder key={watch.id} watch={watch} />
        ))}
      </ul>
    </div>
  );
}

function AddFolder() {
  const { folders } = useSpeech().words;
  const add = useMutation(api.watches.add);
  const attempt = useAttempt();
  const field = useId();
  const [path, setPath] = useState("");
  const [mode, setMode] = useState<WatchMode>("keep");
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    attempt(async () => {
      await add({ path: path.trim(), mode });
      setPath("");
    });
  };
  return (
    <form className="folder-form" onSubmit={submit}>
      <label htmlFor={field}>{folders.path}</label>
      <div className="folder-path">
        <input
          id={field}
          className="field"
          value={path}
          placeholder={folders.placeholder}
          autoComplete="off"
          autoCapitalize="off"
          spellCheck={false}
          data-testid="folder-path"
          onChange={(event) => setPath(event.target.value)}
        />
        <button type="submit" className="button primary" disabled={path.trim() === ""} data-testid="folder-add">
          {folders.add}
        </button>
      </div>
      <Choice
        label={folders.mode}
        value={mode}
        options={[
          { value: "keep", text: folders.keepShort },
          { value: "mirror", text: folders.mirrorShort },
        ]}
        onChange={setMode}
      />
    </form>
  );
}

function Folder({ watch }: { watch: WatchView }) {
  const { words, when } = useSpeech();
  const { folders } = words;
  const pause = useMutation(api.watches.pause);
  const remove = useMutation(api.watches.remove);
  const attempt = useAttempt();
  const { id, path, mode, isPaused, isReviewed, report } = watch;
  const facts = [
    isPaused ? folders.paused : report ? folders.files(report.files, when(report.at)) : folders.notYet,
    folders[mode],
    isReviewed ? folders.reviewed : "",
  ].filter((fact) => fact !== "");
  return (
    <li className="row" data-testid="folder">
      <div className="row-head">
        <span className="row-name">
          <span className="document-name">{path}</span>
          <span className="row-facts">{facts.join(" · ")}</span>
          {report?.problem !== undefined && <span className="row-why">{report.problem}</span>}
        </span>
      </div>
      <div className="row-panel">
        <div className="actions">
          <button type="button" className="button small" onClick={() => attempt(() => pause({ id, isPaused: !isPaused }))}>
            {isPaused ? folders.resume : folders.pause}
          </button>
          <button type="button" className="button small danger" onClick={() => attempt(() => remove({ id }))}>
            {folders.remove}
          </button>
        </div>
      </div>
    </li>
  );
}
