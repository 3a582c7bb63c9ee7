import { useQuery } from "convex/react";
import { api } from "../../../convex/_generated/api.js";
import { Empty } from "../components/empty.tsx";
import { Skeleton } from "../components/skeleton.tsx";
import { useSpeech } from "../language/language.tsx";
import { ScheduleRow } from "../schedules/scheduleRow.tsx";
import { SentenceBox } from "../schedules/sentenceBox.tsx";

/** What is to happen when, by what comes next. */
export function SchedulesScreen() {
  const { words } = useSpeech();
  const schedules = useQuery(api.schedules.list);
  return (
    <div className="screen">
      <div className="screen-head">
        <h1>{words.schedules.title}</h1>
      </div>
      <SentenceBox />
      {schedules === undefined && <Skeleton rows={3} />}
      {schedules?.length === 0 && <Empty title={words.schedules.none} hint={words.schedules.noneHint} />}
      <ul className="rows">
        {schedules?.map((schedule) => (
          <ScheduleRow key={schedule.id} schedule={schedule} />
        ))}
      </ul>
    </div>
  );
}
