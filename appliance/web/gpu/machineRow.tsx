import { useMutation } from "convex/react";
import { memo } from "react";
import { api } from "../../../convex/_generated/api.js";
import { shownState, type MachineView } from "../../../convex/model/machine.ts";
import { Icon } from "../components/icon.tsx";
import { useAttempt } from "../components/notice.tsx";
import { useSpeech } from "../language/language.tsx";
import { toGpuHref } from "../route.ts";
import { useHardware } from "./hardware.ts";
import { useMoney } from "./money.ts";
import { useWhy } from "./why.ts";

export const MachineRow = memo(function MachineRow({ machine }: { machine: MachineView }) {
  const { words, when } = useSpeech();
  const { gpu } = words;
  const money = useMoney();
  const hardware = useHardware();
  const stop = useMutation(api.machines.stop);
  const attempt = useAttempt();
  const why = useWhy();
  const { id, name, state, offer, createdAt, failure } = machine;
  const isSuspect = state === "leakSuspect";
  const facts = [
    gpu.machineStates[shownState(machine)],
    hardware(offer),
    gpu.perHour(money(offer.hourly.micros, offer.hourly.currency)),
    when(createdAt),
  ];
  return (
    <li className="row gpu-machine" data-testid="gpu-machine" data-state={state}>
      <span className={`job-sign ${isSuspect ? "dead" : "running"}`}>
        <Icon name={isSuspect ? "alert" : "gpu"} />
      </span>
      <a className="row-name" href={toGpuHref({ type: "machine", id })}>
        <span className="document-name">{name}</span>
        <span className="row-facts">{facts.join(" · ")}</span>
        {failure && <span className="row-why">{why.failure(failure)}</span>}
      </a>
      {["booting", "ready", "busy", "draining"].includes(state) && (
        <button type="button" className="button small" onClick={() => attempt(() => stop({ id }))}>
          <span className="button-text">{gpu.end}</span>
        </button>
      )}
    </li>
  );
});
