import { useQuery } from "convex/react";
import { BackToMore } from "../components/backToMore.tsx";
import { api } from "../../../convex/_generated/api.js";
import { Empty } from "../components/empty.tsx";
import { Skeleton } from "../components/skeleton.tsx";
import { useSpeech } from "../language/language.tsx";
import { FunctionRow } from "../owned/functionRow.tsx";
import { RunRow } from "../owned/runRow.tsx";

const runsShown = 30;

/** Functions that the owner wrote: which answer, how they do, and their last runs, live. */
export function OwnedScreen() {
  const { words } = useSpeech();
  const functions = useQuery(api.functions.list);
  const runs = useQuery(api.functions.invocations, { limit: runsShown });
  return (
    <div className="screen">
      <BackToMore />
      <div className="screen-head">
        <h1>{words.owned.title}</h1>
      </div>
      {functions === undefined && <Skeleton rows={3} />}
      {functions?.length === 0 && <Empty title={words.owned.none} hint={words.owned.noneHint} />}
      <ul className="rows">
        {functions?.map((f) => (
          <FunctionRow key={f.name} f={f} />
        ))}
      </ul>
      {functions && functions.length > 0 && (
        <section className="section">
          <h2>{words.owned.runs}</h2>
          {runs === undefined && <Skeleton rows={3} />}
          {runs?.length === 0 && <p className="fine">{words.owned.noRuns}</p>}
          <ul className="rows">
            {runs?.map((run) => (
              <RunRow key={run.id} run={run} />
            ))}
          </ul>
        </section>
      )}
    </div>
  );
}
