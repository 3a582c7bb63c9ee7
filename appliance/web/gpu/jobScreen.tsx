import { useMutation, useQuery } from "convex/react";
import { useState } from "react";
import { api } from "../../../convex/_generated/api.js";
import { costSoFar, jobCostSoFar, type Attempt, type GpuJobDetail } from "../../../convex/model/gpuDetail.ts";
import { isJobOver } from "../../../convex/model/gpuJob.ts";
import { Empty } from "../components/empty.tsx";
import { Icon } from "../components/icon.tsx";
import { useAttempt } from "../components/notice.tsx";
import { Skeleton } from "../components/skeleton.tsx";
import { useSpeech } from "../language/language.tsx";
import { toGpuHref, toHref } from "../route.ts";
import { Facts } from "./facts.tsx";
import { useHardware } from "./hardware.ts";
import { Log } from "./log.tsx";
import { useMoney } from "./money.ts";
import { useNow } from "./now.ts";
import { useWhy } from "./why.ts";

/** One piece of work: what, where, since when, for how much, on which machines, its output as it comes, what came of it. */
export function GpuJobScreen({ id }: { id: string }) {
  const { gpu, gpuDetail: said } = useSpeech().words;
  const detail = useQuery(api.gpuDetails.job, { id });
  return (
    <div className="screen gpu" data-testid="gpu-job-screen">
      <a className="back always" href={toHref("gpu")}>
        <Icon name="chevron" />
        {gpu.title}
      </a>
      {detail === undefined && <Skeleton rows={5} />}
      {detail === null && <Empty title={said.noJob} hint={said.noJobHint} />}
      {detail && <Job detail={detail} />}
    </div>
  );
}

function Job({ detail }: { detail: GpuJobDetail }) {
  const { words } = useSpeech();
  const { gpu, gpuDetail: said } = words;
  const { view, attempts } = detail;
  const { id, label, state, problem } = view;
  const isOver = isJobOver(state);
  const why = useWhy();
  const cancel = useMutation(api.gpuJobs.cancel);
  const attempt = useAttempt();
  const worked = attempts.filter(({ startedAt }) => startedAt !== undefined);
  const [shown, setShown] = useState<number>();
  return (
    <>
      <div className="screen-head">
        <h1>{label}</h1>
      </div>
      <p className="gpu-state" role="status" data-testid="gpu-job-state" data-state={state}>
        {gpu.states[state]}
      </p>
      {problem && state !== "cancelled" && <p className="row-why">{why.problem(problem)}</p>}
      <JobFacts detail={detail} />
      {!isOver && (
        <div className="actions gpu-actions">
          <button type="button" className="button small" data-testid="gpu-cancel" onClick={() => attempt(() => cancel({ id }))}>
            <span className="button-text">{gpu.cancel}</span>
          </button>
        </div>
      )}
      <section className="gpu-part">
        <h2>{gpu.output}</h2>
        {worked.length > 1 && (
          <div className="segmented gpu-attempts" role="group" aria-label={said.outputOf}>
            {worked.map((one) => {
              const isLast = one === worked.at(-1);
              return (
                <button
                  key={one.attempt}
                  type="button"
                  className="button small"
                  aria-pressed={(shown ?? worked.at(-1)?.attempt) === one.attempt}
                  onClick={() => setShown(isLast ? undefined : one.attempt)}
                >
                  <span className="button-text">{said.machineNumber(one.attempt)}</span>
                </button>
              );
            })}
          </div>
        )}
        <Log key={shown ?? "last"} id={id} attempt={shown} isOver={isOver} />
      </section>
      <Results detail={detail} />
      {attempts.length > 0 && <Attempts attempts={attempts} />}
    </>
  );
}

function JobFacts({ detail }: { detail: GpuJobDetail }) {
  const { words, when, moment, number } = useSpeech();
  const { gpuDetail: said } = words;
  const money = useMoney();
  const hardware = useHardware();
  const { view, attempts, checkpoints, command, image, runMsMax, costMax } = detail;
  const { createdAt, startedAt, endedAt, offer, parkedUntil, reserved, spent } = view;
  const live = attempts.filter((one) => one.startedAt !== undefined && one.endedAt === undefined);
  const now = useNow(live.length > 0);
  const [newest] = checkpoints;
  return (
    <Facts
      testid="gpu-job-facts"
      facts={[
        { term: said.command, value: <code className="gpu-command">{command.join(" ")}</code> },
        { term: said.image, value: image },
        { term: live.length > 0 ? said.where : said.lastWhere, value: offer && hardware(offer) },
        { term: said.asked, value: moment(createdAt) },
        { term: said.started, value: startedAt !== undefined && view.state !== "parked" ? moment(startedAt) : undefined },
        { term: said.ended, value: endedAt !== undefined ? moment(endedAt) : undefined },
        { term: said.again, value: parkedUntil !== undefined ? moment(parkedUntil) : undefined },
        { term: said.longest, value: said.minutes(number(Math.round(runMsMax / 6_000) / 10)) },
        {
          term: said.cost,
          value: live.length > 0 ? said.soFar(money(jobCostSoFar(detail, now)), money(spent + reserved)) : money(spent),
        },
        { term: said.mayCost, value: costMax && money(costMax.micros, costMax.currency) },
        {
          term: said.checkpoint,
          value: newest
            ? said.checkpointOf(when(newest.at), newest.attempt)
            : isJobOver(view.state)
              ? undefined
              : said.noCheckpoint,
        },
      ]}
    />
  );
}

function Results({ detail: { view, results } }: { detail: GpuJobDetail }) {
  const { words, bytes } = useSpeech();
  const { gpu, gpuDetail: said } = words;
  if (!isJobOver(view.state)) return null;
  return (
    <section className="gpu-part" data-testid="gpu-results">
      <h2>{said.results}</h2>
      {results.length === 0 && <p className="fine">{said.noResults}</p>}
      <ul className="rows">
        {results.map(({ path, sizeBytes, sha256, url }) => (
          <li key={path} className="row gpu-machine">
            <span className="row-name">
              <span className="document-name">{path}</span>
              <span className="row-facts">{`${bytes(sizeBytes)} · sha256 ${sha256.slice(0, 12)}…`}</span>
            </span>
            {url !== null && (
              <a className="button small" href={url} download={path.split("/").at(-1)} aria-label={said.downloadOf(path)}>
                <span className="button-text">{said.download}</span>
              </a>
            )}
          </li>
        ))}
      </ul>
      {results.length > 0 && <p className="fine">{gpu.fetch(`nika gpu fetch ${view.id} --out FOLDER`)}</p>}
    </section>
  );
}

function Attempts({ attempts }: { attempts: readonly Attempt[] }) {
  const { words, when } = useSpeech();
  const { gpu, gpuDetail: said } = words;
  const money = useMoney();
  const hardware = useHardware();
  const why = useWhy();
  const now = useNow(attempts.some(({ hourly }) => hourly > 0));
  return (
    <section className="gpu-part" data-testid="gpu-attempts">
      <h2>{said.machinesOfJob}</h2>
      <ul className="rows">
        {attempts.map((one) => {
          const { attempt, machineId, offer, state, why: reason, failure, createdAt, startedAt, endedAt } = one;
          const facts = [
            hardware(offer),
            startedAt === undefined
              ? said.neverThere
              : said.fromTo(when(createdAt), endedAt === undefined ? undefined : when(endedAt)),
            money(costSoFar(one, now)),
          ];
          const text = reason === undefined ? gpu.machineStates[state] : said.reasons[reason];
          return (
            <li key={machineId} className="row gpu-machine gpu-to">
              <a className="row-name" href={toGpuHref({ type: "machine", id: machineId })}>
                <span className="document-name">{`${attempt}. ${text}`}</span>
                <span className="row-facts">{facts.join(" · ")}</span>
                {failure && <span className="row-why">{why.failure(failure)}</span>}
              </a>
              <Icon name="chevron" />
            </li>
          );
        })}
      </ul>
    </section>
  );
}
