import { useQuery } from "convex/react";
import { useState } from "react";
import { api } from "../../../convex/_generated/api.js";
import { BackToMore } from "../components/backToMore.tsx";
import { Empty } from "../components/empty.tsx";
import { Skeleton } from "../components/skeleton.tsx";
import { Accounts } from "../gpu/accounts.tsx";
import { BillAlarms } from "../gpu/bills.tsx";
import { Figures } from "../gpu/figures.tsx";
import { GpuJobRow } from "../gpu/jobRow.tsx";
import { GpuJobScreen } from "../gpu/jobScreen.tsx";
import { MachineScreen } from "../gpu/machineScreen.tsx";
import { MachineRow } from "../gpu/machineRow.tsx";
import { Scaling } from "../gpu/scaling.tsx";
import { useSpeech } from "../language/language.tsx";
import { useGpuDetail } from "../route.ts";

/** Work sent to machines, what these cost now and at worst, and whether one is suspected to cost what it should not. */
export function GpuScreen() {
  const detail = useGpuDetail();
  if (detail?.type === "job") return <GpuJobScreen key={detail.id} id={detail.id} />;
  if (detail) return <MachineScreen key={detail.id} id={detail.id} />;
  return <Overview />;
}

function Overview() {
  const { gpu } = useSpeech().words;
  // The day of which the sums are; the page is told of every change by itself.
  const [now] = useState(() => Date.now());
  const spend = useQuery(api.gpuSpend.get, { now });
  const jobs = useQuery(api.gpuJobs.list, {});
  const machines = useQuery(api.machines.list, {});
  return (
    <div className="screen gpu">
      <BackToMore />
      <div className="screen-head">
        <h1>{gpu.title}</h1>
      </div>
      {spend !== undefined && spend.suspects > 0 && (
        <p className="banner" role="alert" data-testid="gpu-leak">
          {gpu.leak(spend.suspects)}
        </p>
      )}
      <BillAlarms />
      {spend?.stoppedAt !== undefined && <p className="banner">{gpu.stopped}</p>}
      {spend && <Figures spend={spend} />}
      <section className="gpu-part">
        <h2>{gpu.jobs}</h2>
        {jobs === undefined && <Skeleton rows={2} />}
        {jobs?.length === 0 && <Empty title={gpu.none} hint={gpu.noneHint} />}
        <ul className="rows">
          {jobs?.map((job) => (
            <GpuJobRow key={job.id} job={job} />
          ))}
        </ul>
      </section>
      {machines !== undefined && machines.length > 0 && (
        <section className="gpu-part">
          <h2>{gpu.machines}</h2>
          <ul className="rows">
            {machines.map((machine) => (
              <MachineRow key={machine.id} machine={machine} />
            ))}
          </ul>
        </section>
      )}
      <Scaling />
      <Accounts />
    </div>
  );
}
