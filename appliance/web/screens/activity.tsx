import { useMutation, useQuery } from "convex/react";
import { api } from "../../../convex/_generated/api.js";
import { isOpen, type JobCounts, type JobView } from "../../../convex/model/job.ts";
import type { EventView } from "../../../convex/model/event.ts";
import { Empty } from "../components/empty.tsx";
import { Icon } from "../components/icon.tsx";
import { JobRow } from "../components/jobRow.tsx";
import { WorkerList } from "../components/workerList.tsx";
import { useAttempt } from "../components/notice.tsx";
import { Skeleton } from "../components/skeleton.tsx";
import { eventSentence } from "../language/eventSentence.ts";
import { useSpeech } from "../language/language.tsx";

const jobsShown = 50;
const eventsShown = 30;

/** What Nika is doing, and what it has done. */
export function ActivityScreen() {
  const { words } = useSpeech();
  const jobs = useQuery(api.jobs.list, { limit: jobsShown });
  const counts = useQuery(api.jobs.counts);
  const events = useQuery(api.events.list, { limit: eventsShown });
  const room = useQuery(api.appliance.readingRoom);
  return (
    <div className="screen activity">
      <div className="screen-head">
        <h1>{words.activity.title}</h1>
        <Sums counts={counts} />
        {counts !== undefined && counts.dead > 1 && <RetryAll />}
      </div>
      {room?.pressure && (
        <p className="fine" data-testid="pressure">
          {words.workers.pressure(room.pressure)}
        </p>
      )}
      {room?.because && <p className="fine">{words.batches.slower(room.slots, room.because)}</p>}
      <div className="columns">
        <div>
          <WorkerList />
          {jobs === undefined && <Skeleton rows={5} />}
          {jobs?.length === 0 && <Empty title={words.activity.quiet} hint={words.activity.quietHint} />}
          <Jobs title={words.activity.now} jobs={jobs?.filter(({ state }) => isOpen(state))} />
          <Jobs title={words.activity.earlier} jobs={jobs?.filter(({ state }) => !isOpen(state))} />
        </div>
        <Events events={events} />
      </div>
    </div>
  );
}

/** What failed for good, all of it at once. */
function RetryAll() {
  const { activity } = useSpeech().words;
  const redrive = useMutation(api.jobs.redriveAll);
  const attempt = useAttempt();
  return (
    <button type="button" className="button small" data-testid="jobs-retry-all" onClick={() => attempt(() => redrive({}))}>
      <Icon name="retry" />
      <span className="button-text">{activity.retryAll}</span>
    </button>
  );
}

function Sums({ counts }: { counts: JobCounts | undefined }) {
  const { activity } = useSpeech().words;
  if (!counts) return null;
  const sums = [
    counts.leased > 0 && activity.runningCount(counts.leased),
    counts.ready > 0 && activity.waitingCount(counts.ready),
    counts.dead > 0 && activity.failedCount(counts.dead),
  ].filter((sum) => sum !== false);
  return (
    <p className="sums" role="status">
      {sums.length === 0 ? activity.quiet : sums.join(" · ")}
    </p>
  );
}

function Jobs({ title, jobs = [] }: { title: string; jobs: readonly JobView[] | undefined }) {
  if (jobs.length === 0) return null;
  return (
    <section className="section">
      <h2>{title}</h2>
      <ul className="rows">
        {jobs.map((job) => (
          <JobRow key={job.id} job={job} />
        ))}
      </ul>
    </section>
  );
}

function Events({ events }: { events: readonly EventView[] | undefined }) {
  const { words, language, when } = useSpeech();
  return (
    <section className="section events">
      <h2>{words.activity.events}</h2>
      {events === undefined && <Skeleton rows={3} />}
      {events?.length === 0 && <p className="fine">{words.activity.noEvents}</p>}
      <ol className="event-list">
        {events?.map((event) => (
          <li key={event.id} className={`event ${event.type}`} data-testid="event-row">
            <time dateTime={new Date(event.at).toISOString()}>{when(event.at)}</time>
            <span>{eventSentence(event, language, words)}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}
