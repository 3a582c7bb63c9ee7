import type { Preview } from "../../../functions/schedules/understand.ts";
import { recurrenceLabel } from "../../../convex/model/recurrenceLabel.ts";
import { Icon } from "../components/icon.tsx";
import { useSpeech } from "../language/language.tsx";
import { ownZone } from "./requests.ts";

/** A sentence as Nika understood it: when, by which clock, the next times, and what it took for granted. */
export function PreviewView({ preview, isNew = false }: { preview: Preview; isNew?: boolean }) {
  const { words, language, moment } = useSpeech();
  const { schedules } = words;
  if (preview.type === "none") return <p className="schedule-none">{schedules.notUnderstood}</p>;
  if (preview.type === "ask")
    return (
      <p className="schedule-question" lang={preview.language} data-testid="schedule-question">
        <Icon name="ask" />
        {preview.question}
      </p>
    );
  const { spec, next, assumptions, warnings, stopWhen } = preview;
  const { rule } = spec;
  return (
    <div className="schedule-preview" data-testid="schedule-preview">
      <p className="schedule-label">{recurrenceLabel(rule, { language, zone: ownZone() })}</p>
      {isNew && spec.prompt !== "" && <p className="schedule-wish">{spec.name}</p>}
      {isNew && spec.action.type === "run" && (
        <ol className="schedule-tasks" data-testid="schedule-tasks">
          {spec.action.tasks.map(({ text, action }, i) => (
            <li key={i}>
              {action.type === "function" ? `${action.name} ${text}` : text}{" "}
              <span className="row-facts">{schedules.actions[action.type]}</span>
            </li>
          ))}
        </ol>
      )}
      <dl className="facts">
        <div>
          <dt>{schedules.next}</dt>
          <dd>{next.length === 0 ? schedules.never : next.map((at) => moment(at)).join(" · ")}</dd>
        </div>
        <div>
          <dt>{schedules.zone}</dt>
          <dd>{rule.zone}</dd>
        </div>
        {isNew && (
          <div>
            <dt>{schedules.does}</dt>
            <dd>{schedules.actions[spec.action.type]}</dd>
          </div>
        )}
        {isNew && (
          <div>
            <dt>{schedules.keptWhere}</dt>
            <dd>{schedules.backends[spec.backend]}</dd>
          </div>
        )}
        {stopWhen !== undefined && (
          <div>
            <dt>{schedules.until}</dt>
            <dd>{stopWhen}</dd>
          </div>
        )}
      </dl>
      {(assumptions.length > 0 || warnings.length > 0) && (
        <ul className="schedule-notes" lang={preview.language}>
          {assumptions.map((line) => (
            <li key={line}>{schedules.assumed(line)}</li>
          ))}
          {warnings.map((line) => (
            <li key={line} className="warning">
              {line}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
