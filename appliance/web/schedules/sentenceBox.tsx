import { useCallback, useId, useState, type FormEvent } from "react";
import type { Said } from "../../../functions/schedules/say.ts";
import { recurrenceLabel } from "../../../convex/model/recurrenceLabel.ts";
import { useAttempt } from "../components/notice.tsx";
import { useSpeech } from "../language/language.tsx";
import { sentenceOf } from "../language/sentence.ts";
import { PreviewView } from "./preview.tsx";
import { ownZone, say } from "./requests.ts";
import { useUnderstood } from "./understood.ts";

const charsMax = 1_000;

/** Says in a sentence what is to happen when, or what is to become of what there is. Nothing counts before its preview was seen. */
export function SentenceBox() {
  const { words, language } = useSpeech();
  const { schedules } = words;
  const [text, setText] = useState("");
  const attempt = useAttempt();
  const field = useId();
  const dryRun = useCallback((sentence: string, signal: AbortSignal) => say(sentence, { isDryRun: true, signal }), []);
  const understood = useUnderstood(text.trim(), dryRun);
  const told = understood.state === "told" && understood.text === text.trim() ? understood.told : undefined;
  const verb = told && verbOf(told);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (verb === undefined) return;
    attempt(async () => {
      await say(text.trim(), { isDryRun: false });
      setText("");
    });
  };
  return (
    <form className="schedule-box" onSubmit={submit}>
      <label htmlFor={field}>{schedules.say}</label>
      <input
        id={field}
        className="field"
        value={text}
        placeholder={schedules.placeholder}
        maxLength={charsMax}
        autoComplete="off"
        enterKeyHint="done"
        data-testid="schedule-box"
        onChange={(event) => setText(event.target.value)}
      />
      <div aria-live="polite">
        {understood.state === "failed" && <p className="row-why">{sentenceOf(understood.failure, language, words)}</p>}
        {told && <Told said={told} />}
      </div>
      {verb !== undefined && (
        <div className="actions end">
          <button type="button" className="button" onClick={() => setText("")}>
            {schedules.discard}
          </button>
          <button
            type="submit"
            className={`button ${verb === "deleted" ? "danger filled" : "primary"}`}
            data-testid="schedule-keep"
          >
            {schedules.verbs[verb]}
          </button>
        </div>
      )}
    </form>
  );
}

type Verb = "created" | "changed" | "paused" | "resumed" | "deleted" | "started";

/** What would be done; undefined when there is nothing to agree to. */
function verbOf(said: Said): Verb | undefined {
  if (said.type === "preview") return said.preview.type === "rule" && said.preview.next.length > 0 ? "created" : undefined;
  return said.type === "listed" || said.type === "which" || said.type === "unknown" ? undefined : said.type;
}

function Told({ said }: { said: Said }) {
  const { words, language } = useSpeech();
  const { schedules } = words;
  switch (said.type) {
    case "preview":
    case "created":
      return <PreviewView preview={said.preview} isNew />;
    case "listed":
      return <p className="fine">{schedules.listedBelow}</p>;
    case "unknown":
      return <p className="schedule-none">{schedules.unknown(said.target)}</p>;
    case "which":
      return <p className="schedule-question">{schedules.which(said.schedules.map(({ name }) => `“${name}”`).join(", "))}</p>;
    case "changed":
    case "paused":
    case "resumed":
    case "deleted":
    case "started":
      return (
        <div className="schedule-preview" data-testid="schedule-preview">
          <p className="schedule-label">{said.schedule.name}</p>
          <p className="fine">
            {schedules.would[said.type]} · {recurrenceLabel(said.schedule.rule, { language, zone: ownZone() })}
          </p>
          {said.preview && <PreviewView preview={said.preview} />}
        </div>
      );
  }
}
