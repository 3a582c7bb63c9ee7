import { memo, useId, useState } from "react";
import { isOnce } from "../../../convex/model/recurrence.ts";
import { recurrenceLabel } from "../../../convex/model/recurrenceLabel.ts";
import type { ScheduleView } from "../../../convex/model/schedule.ts";
import { Icon } from "../components/icon.tsx";
import { useAttempt } from "../components/notice.tsx";
import { Sheet } from "../components/sheet.tsx";
import { useSpeech } from "../language/language.tsx";
import { ChangeDialog } from "./changeDialog.tsx";
import { Occurrences } from "./occurrences.tsx";
import { change, ownZone, remove, runNow } from "./requests.ts";

const nextShown = 5;

/** One schedule: what, when, next; on or off at a touch; the rest behind it. */
export const ScheduleRow = memo(function ScheduleRow({ schedule }: { schedule: ScheduleView }) {
  const { words, language, moment } = useSpeech();
  const { schedules } = words;
  const attempt = useAttempt();
  const [isOpen, setOpen] = useState(false);
  const panel = useId();
  const { name, rule, isEnabled, pausedUntil, nextAts, backend } = schedule;
  const label = recurrenceLabel(rule, { language, zone: ownZone() });
  const [next] = nextAts;
  const state = isEnabled
    ? next === undefined
      ? schedules.over
      : schedules.nextAt(moment(next))
    : pausedUntil === undefined
      ? schedules.off
      : schedules.offUntil(moment(pausedUntil));
  return (
    <li className={`row schedule ${isEnabled ? "" : "off"}`} data-testid="schedule-row" data-schedule-id={schedule.id}>
      <div className="schedule-line">
        <button type="button" className="row-head" aria-expanded={isOpen} aria-controls={panel} onClick={() => setOpen(!isOpen)}>
          <span className="row-name">
            <span className="document-name">{name}</span>
            <span className="row-facts">
              <span className="schedule-badge">{isOnce(rule) ? schedules.once : schedules.recurring}</span> {label}
            </span>
            <span className="row-facts">
              {[state, ...(backend === "persistent" ? [] : [schedules.backends[backend]])].join(" · ")}
            </span>
          </span>
          <Icon name="chevron" />
        </button>
        <button
          type="button"
          role="switch"
          className="on-off"
          aria-checked={isEnabled}
          aria-label={schedules.toggle(name)}
          data-testid="schedule-toggle"
          onClick={() => attempt(() => change(schedule, { enabled: !isEnabled }))}
        />
      </div>
      {isOpen && (
        <div className="row-panel" id={panel}>
          <Panel schedule={schedule} />
        </div>
      )}
    </li>
  );
});

function Panel({ schedule }: { schedule: ScheduleView }) {
  const { words, moment } = useSpeech();
  const { schedules } = words;
  const attempt = useAttempt();
  const [dialog, setDialog] = useState<"change" | "remove">();
  const close = (): void => setDialog(undefined);
  const title = useId();
  const { name, prompt, action, rule, backend, phrase, nextAts, isEnabled } = schedule;
  const facts: [string, string][] = [
    [schedules.does, schedules.actions[action.type]],
    [schedules.zone, rule.zone],
    [schedules.keptWhere, schedules.backends[backend]],
  ];
  if (isEnabled) facts.splice(1, 0, [schedules.next, nextAts.slice(0, nextShown).map(moment).join(" · ") || schedules.never]);
  if (phrase !== undefined) facts.push([schedules.said, phrase]);
  return (
    <>
      {prompt !== "" && prompt.toLowerCase() !== name.toLowerCase() && <p className="schedule-wish">{prompt}</p>}
      <dl className="facts">
        {facts.map(([term, value]) => (
          <div key={term}>
            <dt>{term}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <div className="actions">
        <button type="button" className="button small" data-testid="schedule-run" onClick={() => attempt(() => runNow(schedule))}>
          <Icon name="retry" />
          {schedules.run}
        </button>
        <button type="button" className="button small" data-testid="schedule-change" onClick={() => setDialog("change")}>
          {schedules.change}
        </button>
        <button type="button" className="button small danger" data-testid="schedule-remove" onClick={() => setDialog("remove")}>
          <Icon name="trash" />
          {schedules.remove}
        </button>
      </div>
      <Occurrences schedule={schedule} />
      <ChangeDialog schedule={schedule} isOpen={dialog === "change"} onClose={close} />
      <Sheet isOpen={dialog === "remove"} labelledBy={title} onClose={close}>
        <h2 id={title}>{schedules.removeTitle}</h2>
        <p className="sheet-text">{schedules.removeText(name)}</p>
        <div className="actions end">
          {/* A dialog must put the focus somewhere: here, on the harmless choice. */}
          <button type="button" className="button" autoFocus onClick={close}>
            {schedules.keep}
          </button>
          <button
            type="button"
            className="button danger filled"
            data-testid="schedule-remove-confirm"
            onClick={() => {
              attempt(() => remove(schedule));
              close();
            }}
          >
            <Icon name="trash" />
            {schedules.remove}
          </button>
        </div>
      </Sheet>
    </>
  );
}
