import { useQuery } from "convex/react";
import { api } from "../../../convex/_generated/api.js";
import type { OccurrenceState, ScheduleView } from "../../../convex/model/schedule.ts";
import { Icon, type IconName } from "../components/icon.tsx";
import { Skeleton } from "../components/skeleton.tsx";
import { useSpeech } from "../language/language.tsx";
import { toHref } from "../route.ts";
import { RunTimeline } from "../runs/timeline.tsx";

const shown = 20;

const icons: Record<OccurrenceState, IconName> = {
  open: "activity",
  done: "check",
  failed: "alert",
  cancelled: "close",
  skipped: "chevron",
  missed: "clock",
};

/** What became of a schedule's times, newest first, as it happens. */
export function Occurrences({ schedule }: { schedule: ScheduleView }) {
  const { words, moment } = useSpeech();
  const { schedules } = words;
  const occurrences = useQuery(api.schedules.occurrences, { id: schedule.id, limit: shown });
  return (
    <section>
      <h3 className="schedule-heading">{schedules.history}</h3>
      {occurrences === undefined && <Skeleton rows={1} />}
      {occurrences?.length === 0 && <p className="fine">{schedules.noHistory}</p>}
      <ol className="occurrences">
        {occurrences?.map(({ id, at, state, isLate, jobId, runId, text }) => (
          <li key={id} className={`occurrence ${state}`} data-testid="occurrence" data-state={state}>
            <Icon name={icons[state]} />
            <span className="occurrence-when">
              <time dateTime={new Date(at).toISOString()}>{moment(at)}</time>
              <span>{[schedules.occurrences[state], ...(isLate ? [schedules.late] : [])].join(", ")}</span>
              {runId !== undefined && <a href={`${toHref("runs")}/${runId}`}>{schedules.itsRun}</a>}
              {jobId !== undefined && <a href={toHref("activity")}>{schedules.job}</a>}
            </span>
            {runId !== undefined && (
              <div className="occurrence-text">
                <RunTimeline id={runId} />
              </div>
            )}
            {text !== undefined && runId === undefined && <p className="occurrence-text">{text}</p>}
          </li>
        ))}
      </ol>
    </section>
  );
}
