import { useQuery } from "convex/react";
import { api } from "../../../convex/_generated/api.js";
import { lanes } from "../../../convex/model/lane.ts";
import type { WorkerView } from "../../../convex/model/joined.ts";
import { useSpeech } from "../language/language.tsx";
import { Icon } from "./icon.tsx";

/** Who else works for this Nika, and whether they still live. Nothing while the appliance does everything itself. */
export function WorkerList() {
  const { workers } = useSpeech().words;
  const all = useQuery(api.workers.list);
  if (!all?.some(({ isJoined }) => isJoined)) return null;
  return (
    <section className="section" data-testid="workers">
      <h2>{workers.title}</h2>
      <ul className="rows">
        {all.map((worker) => (
          <WorkerRow key={worker.name} worker={worker} />
        ))}
      </ul>
    </section>
  );
}

function WorkerRow({ worker: { name, isUp, isJoined, about, holds, seenAt, slots } }: { worker: WorkerView }) {
  const { words, when } = useSpeech();
  const { workers } = words;
  const facts = [
    isUp ? workers.holds(holds) : workers.away,
    about && `${about.host} ${about.version}`,
    about ? lanes.map((lane) => `${workers.lanes[lane]} ${about.lanes[lane]}`).join(", ") : workers.slots(slots),
    isJoined && workers.does((about?.kinds ?? []).map((kind) => kindName(words.activity.kinds, kind)).join(", ")),
    seenAt !== undefined && workers.seen(when(seenAt)),
  ];
  return (
    <li className={`row job ${isUp ? "leased" : "dead"}`} data-testid="worker-row" data-name={name} data-up={isUp}>
      <div className="row-head">
        <span className={`job-sign ${isUp ? "leased" : "dead"}`}>
          <Icon name={isUp ? "activity" : "alert"} />
        </span>
        <span className="row-name">
          <span translate="no">{name}</span>
          <span className="row-facts">{facts.filter(Boolean).join(" · ")}</span>
        </span>
      </div>
    </li>
  );
}

/** A worker of another version may name what this page does not know. */
const kindName = (names: Readonly<Record<string, string>>, kind: string): string => names[kind] ?? kind;
