import { useCallback, useId, useState, type FormEvent } from "react";
import { recurrenceLabel } from "../../../convex/model/recurrenceLabel.ts";
import { nameCharsMax, promptCharsMax, type Action, type ScheduleView } from "../../../convex/model/schedule.ts";
import { Sheet } from "../components/sheet.tsx";
import { useSpeech } from "../language/language.tsx";
import { sentenceOf, toFailure, type Failure } from "../language/sentence.ts";
import { PreviewView } from "./preview.tsx";
import { change, ownZone, previewOf, type Changes } from "./requests.ts";
import { useUnderstood } from "./understood.ts";

type Props = { readonly schedule: ScheduleView; readonly isOpen: boolean; readonly onClose: () => void };

/** When, what and under which name. The time is words, and what they mean is shown before it counts. */
export function ChangeDialog({ schedule, isOpen, onClose }: Props) {
  const { schedules } = useSpeech().words;
  const title = useId();
  return (
    <Sheet isOpen={isOpen} labelledBy={title} onClose={onClose}>
      <h2 id={title}>{schedules.changeTitle}</h2>
      <ChangeForm schedule={schedule} onClose={onClose} />
    </Sheet>
  );
}

function ChangeForm({ schedule: latest, onClose }: Omit<Props, "isOpen">) {
  const { words, language } = useSpeech();
  const { schedules } = words;
  // What is on the form was taken from this one, so this is the one it changes; a newer one is refused, not overwritten.
  const [schedule] = useState(latest);
  const label = recurrenceLabel(schedule.rule, { language, zone: ownZone() });
  const [when, setWhen] = useState(label);
  const [failure, setFailure] = useState<Failure>();
  const [isBusy, setBusy] = useState(false);
  const isSameTime = when.trim() === label || when.trim() === "";
  const ask = useCallback((text: string, signal: AbortSignal) => previewOf(schedule, text, signal), [schedule]);
  const understood = useUnderstood(isSameTime ? "" : when.trim(), ask);
  const preview = understood.state === "told" ? understood.told : undefined;
  const canSave = isSameTime || (understood.state === "told" && understood.text === when.trim() && preview?.type === "rule");
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    if (!canSave || isBusy) return;
    const form = new FormData(event.currentTarget);
    const text = (name: string): string => {
      const value = form.get(name);
      return typeof value === "string" ? value.trim() : "";
    };
    const changes = changesOf(schedule, {
      name: text("name"),
      prompt: text("prompt"),
      action: text("action"),
      when: isSameTime ? "" : when.trim(),
    });
    setBusy(true);
    void change(schedule, changes).then(onClose, (error: unknown) => {
      setFailure(toFailure(error));
      setBusy(false);
    });
  };
  return (
    <form className="edit-form" onSubmit={submit}>
      <label>
        {schedules.when}
        <input
          className="field"
          name="when"
          value={when}
          autoComplete="off"
          data-testid="schedule-when"
          onChange={(event) => setWhen(event.target.value)}
        />
      </label>
      {understood.state === "failed" && <p className="row-why">{sentenceOf(understood.failure, language, words)}</p>}
      {preview && <PreviewView preview={preview} />}
      <label>
        {schedules.name}
        <input className="field" name="name" defaultValue={schedule.name} maxLength={nameCharsMax} autoComplete="off" />
      </label>
      <label>
        {schedules.wish}
        <textarea
          className="field"
          name="prompt"
          rows={3}
          defaultValue={schedule.prompt}
          maxLength={promptCharsMax}
          data-testid="schedule-prompt"
        />
      </label>
      <ActionField action={schedule.action} />
      {failure && (
        <p className="row-why" role="alert">
          {failure.code === "conflict" ? schedules.changedMeanwhile : sentenceOf(failure, language, words)}
        </p>
      )}
      <div className="actions end">
        <button type="button" className="button" onClick={onClose}>
          {words.document.cancel}
        </button>
        <button type="submit" className="button primary" disabled={!canSave || isBusy} data-testid="schedule-save">
          {words.document.save}
        </button>
      </div>
    </form>
  );
}

/** Those that need no more than the words; one that does is changed where it was made. */
const plainTypes = ["remind", "ask"] as const;

function ActionField({ action }: { action: Action }) {
  const { schedules } = useSpeech().words;
  if (!plainTypes.some((type) => type === action.type)) return null;
  return (
    <label>
      {schedules.does}
      <select className="field" name="action" defaultValue={action.type}>
        {plainTypes.map((type) => (
          <option key={type} value={type}>
            {schedules.actions[type]}
          </option>
        ))}
      </select>
    </label>
  );
}

function changesOf(
  schedule: ScheduleView,
  { name, prompt, action, when }: { name: string; prompt: string; action: string; when: string },
): Changes {
  const type = plainTypes.find((one) => one === action);
  return {
    ...(name !== "" && name !== schedule.name && { name }),
    ...(prompt !== schedule.prompt && { prompt }),
    ...(type !== undefined && type !== schedule.action.type && { action: { type } }),
    ...(when !== "" && { text: when }),
  };
}
