import { useMutation, useQuery } from "convex/react";
import { api } from "../../../convex/_generated/api.js";
import type { MachineDetail } from "../../../convex/model/gpuDetail.ts";
import { shownState } from "../../../convex/model/machine.ts";
import { Empty } from "../components/empty.tsx";
import { Icon } from "../components/icon.tsx";
import { useAttempt } from "../components/notice.tsx";
import { Skeleton } from "../components/skeleton.tsx";
import { useSpeech } from "../language/language.tsx";
import { toGpuHref, toHref } from "../route.ts";
import { Facts } from "./facts.tsx";
import { useHardware } from "./hardware.ts";
import { useMoney } from "./money.ts";
import { useWhy } from "./why.ts";

const gb = 1_000;
const stoppable: ReadonlySet<string> = new Set(["booting", "ready", "busy", "draining"]);

/** One machine: what it is, what it costs, and who ends it, and when at the latest, should nobody else. */
export function MachineScreen({ id }: { id: string }) {
  const { gpu, gpuDetail: said } = useSpeech().words;
  const detail = useQuery(api.gpuDetails.machine, { id });
  return (
    <div className="screen gpu" data-testid="gpu-machine-screen">
      <a className="back always" href={toHref("gpu")}>
        <Icon name="chevron" />
        {gpu.title}
      </a>
      {detail === undefined && <Skeleton rows={5} />}
      {detail === null && <Empty title={said.noMachine} hint={said.noMachineHint} />}
      {detail && <Machine detail={detail} />}
    </div>
  );
}

function Machine({ detail }: { detail: MachineDetail }) {
  const { gpu, gpuDetail: said } = useSpeech().words;
  const { view } = detail;
  const { id, name, state, failure, alarmAt } = view;
  const why = useWhy();
  const stop = useMutation(api.machines.stop);
  const acknowledge = useMutation(api.machines.acknowledge);
  const attempt = useAttempt();
  return (
    <>
      <div className="screen-head">
        <h1 className="gpu-name">{name}</h1>
      </div>
      <p className="gpu-state" role="status" data-state={state}>
        {gpu.machineStates[shownState(view)]}
        {view.why !== undefined && ` · ${said.reasons[view.why]}`}
      </p>
      {failure && <p className="row-why">{why.failure(failure)}</p>}
      <MachineFacts detail={detail} />
      <div className="actions gpu-actions">
        {stoppable.has(state) && (
          <button type="button" className="button small" data-testid="gpu-end" onClick={() => attempt(() => stop({ id }))}>
            <span className="button-text">{gpu.end}</span>
          </button>
        )}
        {alarmAt !== undefined && state === "gone" && (
          <button type="button" className="button small" onClick={() => attempt(() => acknowledge({ id }))}>
            <span className="button-text">{said.acknowledge}</span>
          </button>
        )}
      </div>
      <Killers detail={detail} />
    </>
  );
}

function MachineFacts({ detail }: { detail: MachineDetail }) {
  const { words, when, moment, number } = useSpeech();
  const { gpu, gpuDetail: said } = words;
  const money = useMoney();
  const hardware = useHardware();
  const { view, facts, beat, job, spent, reserved } = detail;
  const { offer, createdAt, bootedAt, heardAt, goneAt, deadline } = view;
  const gpus = facts?.gpus.map(({ name, memoryMb, driver }) =>
    facts.isSimulated === true ? said.simulatedGpu(name) : said.gpuFact(name, number(Math.round(memoryMb / gb)), driver),
  );
  return (
    <Facts
      testid="gpu-machine-facts"
      facts={[
        { term: said.where, value: hardware(offer) },
        { term: said.job, value: job && <a href={toGpuHref({ type: "job", id: job.id })}>{job.label}</a> },
        { term: said.asked, value: moment(createdAt) },
        { term: said.thereSince, value: bootedAt !== undefined ? moment(bootedAt) : undefined },
        { term: said.heard, value: heardAt !== undefined ? when(heardAt) : undefined },
        { term: said.gone, value: goneAt !== undefined ? moment(goneAt) : undefined },
        { term: said.latest, value: goneAt === undefined ? moment(deadline) : undefined },
        { term: said.price, value: gpu.perHour(money(offer.hourly.micros, offer.hourly.currency)) },
        { term: said.cost, value: goneAt === undefined ? said.setAside(money(reserved)) : money(spent) },
        {
          term: said.system,
          value: facts && said.systemOf(facts.system, number(facts.cpus), number(Math.round(facts.memoryMb / gb))),
        },
        { term: said.gpus, value: gpus?.join(", ") },
        {
          term: said.diskFree,
          value: beat?.diskFreeMb !== undefined ? said.gb(number(Math.round(beat.diskFreeMb / gb))) : undefined,
        },
        { term: said.use, value: beat?.gpu && said.useOf(number(beat.gpu.busy), number(Math.round(beat.gpu.memoryMb / gb))) },
      ]}
    />
  );
}

function Killers({ detail: { view, sweptAt, hasTtl, endAsks, cleanLooks, job } }: { detail: MachineDetail }) {
  const { words, when, moment } = useSpeech();
  const { gpuDetail: said } = words;
  const { state, deadline, heardAt, provider } = view;
  // Those have no account to be looked through, and no vendor.
  const isOwn = provider === "local" || provider === "ssh";
  if (state === "gone") return null;
  const until = moment(deadline);
  const lines = [
    job ? said.killers.work : said.killers.noWork,
    said.killers.clock(until),
    ...(isOwn ? [] : [sweptAt === undefined ? said.killers.notSwept : said.killers.sweep(when(sweptAt))]),
    heardAt === undefined ? said.killers.noGuard : said.killers.guard(until),
    ...(isOwn ? [] : [hasTtl ? said.killers.timer(until) : said.killers.noTimer]),
  ];
  return (
    <section className="gpu-part" data-testid="gpu-killers">
      <h2>{said.killers.title}</h2>
      {endAsks > 0 && <p className="fine">{said.killers.progress(endAsks, cleanLooks)}</p>}
      <ol className="gpu-killers">
        {lines.map((line) => (
          <li key={line}>{line}</li>
        ))}
      </ol>
    </section>
  );
}
