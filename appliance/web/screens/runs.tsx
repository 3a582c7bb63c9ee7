import { useQuery } from "convex/react";
import { BackToMore } from "../components/backToMore.tsx";
import { api } from "../../../convex/_generated/api.js";
import { Empty } from "../components/empty.tsx";
import { Skeleton } from "../components/skeleton.tsx";
import { useSpeech } from "../language/language.tsx";
import { RunRow } from "../runs/runRow.tsx";

/** Work of several steps: what it did, what it waits for, what put it aside. */
export function RunsScreen() {
  const { words } = useSpeech();
  const runs = useQuery(api.runs.list, {});
  const [, chosen] = window.location.hash.slice(1).split("/");
  return (
    <div className="screen">
      <BackToMore />
      <div className="screen-head">
        <h1>{words.runs.title}</h1>
      </div>
      {runs === undefined && <Skeleton rows={3} />}
      {runs?.length === 0 && <Empty title={words.runs.none} hint={words.runs.noneHint} />}
      <ul className="rows">
        {runs?.map((run) => (
          <RunRow key={run.id} run={run} isOpenFirst={run.id === chosen} />
        ))}
      </ul>
    </div>
  );
}
