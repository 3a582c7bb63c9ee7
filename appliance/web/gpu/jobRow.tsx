import { useMutation } from "convex/react";
import { memo, useId, useState } from "react";
import { api } from "../../../convex/_generated/api.js";
import { isJobOver, type GpuJobState, type GpuJobView } from "../../../convex/model/gpuJob.ts";
import { Icon, type IconName } from "../components/icon.tsx";
import { useAttempt } from "../components/notice.tsx";
import { useSpeech } from "../language/language.tsx";
import { toGpuHref } from "../route.ts";
import { useHardware } from "./hardware.ts";
import { Log } from "./log.tsx";
import { useMoney } from "./money.ts";
import { useWhy } from "./why.ts";

const signs: Partial<Record<GpuJobState, IconName>> = {
  succeeded: "check",
  failed: "alert",
  timedOut: "alert",
  budgetStopped: "alert",
  deadlineMissed: "alert",
  cancelled: "close",
  queued: "clock",
  parked: "clock",
};
const failed: ReadonlySet<GpuJobState> = new Set(["failed", "timedOut", "budgetStopped", "deadlineMissed"]);

/** One piece of work: how it stands, and behind it its output as it comes. */
export const GpuJobRow = memo(function GpuJobRow({ job }: { job: GpuJobView }) {
  const { words, when } = useSpeech();
  const { gpu } = words;
  const money = useMoney();
  const hardware = useHardware();
  const [isOpen, setOpen] = useState(false);
  const panel = useId();
  const cancel = useMutation(api.gpuJobs.cancel);
  const attempt = useAttempt();
  const why = useWhy();
  const { id, label, state, offer, spent, endedAt, createdAt, problem, files } = job;
  const isOver = isJobOver(state);
  const facts = [
    gpu.states[state],
    ...(offer ? [hardware(offer)] : []),
    money(spent),
    when(endedAt ?? createdAt),
    ...(files > 0 ? [gpu.files(files)] : []),
  ];
  return (
    <li className="row gpu-job" data-testid="gpu-job" data-state={state}>
      <div className="schedule-line">
        <button type="button" className="row-head" aria-expanded={isOpen} aria-controls={panel} onClick={() => setOpen(!isOpen)}>
          <span className={`job-sign ${failed.has(state) ? "dead" : isOver ? "done" : "running"}`}>
            <Icon name={signs[state] ?? "activity"} />
          </span>
          <span className="row-name">
            <span className="document-name">{label}</span>
            <span className="row-facts">{facts.join(" · ")}</span>
            {problem && state !== "cancelled" && <span className="row-why">{why.problem(problem)}</span>}
          </span>
          <Icon name="chevron" />
        </button>
      </div>
      {isOpen && (
        <div id={panel} className="schedule-panel">
          <Log id={id} isOver={isOver} />
          <div className="actions">
            <a className="button small" href={toGpuHref({ type: "job", id })} data-testid="gpu-job-more">
              <span className="button-text">{words.gpuDetail.more}</span>
            </a>
            {!isOver && (
              <button
                type="button"
                className="button small"
                data-testid="gpu-cancel"
                onClick={() => attempt(() => cancel({ id }))}
              >
                <span className="button-text">{gpu.cancel}</span>
              </button>
            )}
          </div>
        </div>
      )}
    </li>
  );
});
