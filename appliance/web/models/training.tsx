import { useMutation, useQuery } from "convex/react";
import { useState } from "react";
import { api } from "../../../convex/_generated/api.js";
import type { ModelView } from "../../../convex/model/model.ts";
import type { ScheduleView } from "../../../convex/model/schedule.ts";
import { useAttempt } from "../components/notice.tsx";
import { ProgressBar } from "../components/progressBar.tsx";
import { useSpeech } from "../language/language.tsx";
import { ownZone, remove } from "../schedules/requests.ts";
import { askAppliance } from "../session/requests.ts";
import type { Learning } from "./remembered.tsx";

const jobsLooked = 50;

/** Training now and by itself. */
export function Training({ learning, models }: { learning: Learning; models: readonly ModelView[] }) {
  const { words, number } = useSpeech();
  const said = words.models;
  const train = useMutation(api.models.train);
  const attempt = useAttempt();
  const jobs = useQuery(api.jobs.list, { limit: jobsLooked });
  const running = models.find(({ state }) => state === "waiting" || state === "running");
  const progress = jobs?.find(({ kind, state }) => kind === "models.train" && state === "leased")?.progress;
  return (
    <section className="section" data-testid="training">
      <h2>{said.train}</h2>
      {running ? (
        <>
          <p role="status">{running.state === "waiting" ? said.waiting : said.training}</p>
          <ProgressBar label={said.training} progress={progress} testId="training-progress" />
        </>
      ) : (
        <>
          <p>{said.trainOn(number(learning.questions), number(learning.reactions))}</p>
          <button
            type="button"
            className="button primary"
            disabled={learning.scopes.length === 0}
            data-testid="model-train"
            onClick={() => attempt(() => train({}))}
          >
            <span className="button-text">{said.trainNow}</span>
          </button>
        </>
      )}
      <BySchedule />
    </section>
  );
}

const times = { weekly: "every Sunday at 3 AM", monthly: "every month on the 1st at 3 AM" } as const;
type When = keyof typeof times | "off";

/** A schedule like any other; here it is one choice and one word. */
function BySchedule() {
  const { words, moment } = useSpeech();
  const said = words.models;
  const schedules = useQuery(api.schedules.list);
  const attempt = useAttempt();
  const [isWorking, setWorking] = useState(false);
  const mine = schedules?.filter(({ action }) => action.type === "learn");
  const [first] = mine ?? [];
  const action = first?.action.type === "learn" ? first.action : undefined;
  const deploys = action?.deploys === true;
  const outlook = useQuery(api.models.outlook);
  const set = (when: When, deploy: boolean): void =>
    attempt(async () => {
      setWorking(true);
      try {
        // The new one is kept before the old ones go.
        if (when !== "off") {
          // What was chosen on the command line stays.
          const next = { type: "learn", deploys: deploy, ...(action?.lora && { lora: action.lora }) };
          const body = { text: times[when], zone: ownZone(), name: said.scheduleName, prompt: "", action: next };
          await askAppliance<ScheduleView>("POST", "/api/schedules", { body });
        }
        for (const one of mine ?? []) await remove(one);
      } finally {
        setWorking(false);
      }
    });
  const now: When = first ? whenOf(first) : "off";
  const next = first?.isEnabled ? first.nextAts[0] : undefined;
  return (
    <div className="model-schedule">
      <label>
        <span>{said.byItself}</span>
        <select
          className="field"
          value={now}
          disabled={isWorking || schedules === undefined}
          data-testid="model-schedule"
          onChange={({ target }) => set(target.value as When, deploys)}
        >
          {(["off", "weekly", "monthly"] as const).map((when) => (
            <option key={when} value={when}>
              {said.when[when]}
            </option>
          ))}
        </select>
      </label>
      {first && (
        <label className="model-deploys">
          <input
            type="checkbox"
            checked={deploys}
            disabled={isWorking}
            data-testid="model-deploys"
            onChange={({ target }) => set(now, target.checked)}
          />
          <span>{said.deploys}</span>
        </label>
      )}
      {next !== undefined && <p className="fine">{said.next(moment(next))}</p>}
      {action && !action.lora && outlook?.knowsMeanings === true && <p className="fine">{said.nothingBetter}</p>}
    </div>
  );
}

/** One that was made in other words shows as the nearest of the two; the schedules' screen says it exactly. */
const whenOf = ({ rule }: ScheduleView): When => (JSON.stringify(rule).includes("month") ? "monthly" : "weekly");
