import { useQuery } from "convex/react";
import { BackToMore } from "../components/backToMore.tsx";
import { api } from "../../../convex/_generated/api.js";
import type { ToolCallView } from "../../../convex/model/serverView.ts";
import { Empty } from "../components/empty.tsx";
import { Skeleton } from "../components/skeleton.tsx";
import { useSpeech } from "../language/language.tsx";
import { useConsent } from "../route.ts";
import { BuildServer } from "../tools/buildServer.tsx";
import { Clients, Consent } from "../tools/clients.tsx";
import { CallSums } from "../tools/callSums.tsx";
import { ServerRow } from "../tools/serverRow.tsx";
import { Shelf } from "../tools/shelf.tsx";

const callsShown = 40;

/** MCP servers: how they stand, what of them may be used, and what is being called, live. */
export function ToolsScreen() {
  const { words } = useSpeech();
  const servers = useQuery(api.servers.list);
  const calls = useQuery(api.servers.calls, { limit: callsShown });
  const uid = useConsent();
  return (
    <div className="screen">
      <BackToMore />
      <div className="screen-head">
        <h1>{words.tools.title}</h1>
      </div>
      {uid !== undefined && <Consent uid={uid} />}
      {servers === undefined && <Skeleton rows={4} />}
      {servers?.length === 0 && <Empty title={words.tools.none} hint={words.tools.noneHint} />}
      <div className="columns">
        <div>
          <ul className="rows">
            {servers?.map((server) => (
              <ServerRow key={server.name} server={server} />
            ))}
          </ul>
          <Shelf />
          <BuildServer />
        </div>
        <div>
          <Clients />
          <Calls calls={calls} />
          <CallSums newest={calls?.[0]?.seq} />
        </div>
      </div>
    </div>
  );
}

function Calls({ calls }: { calls: readonly ToolCallView[] | undefined }) {
  const { words, when, number } = useSpeech();
  return (
    <section className="section">
      <h2>{words.tools.calls}</h2>
      {calls?.length === 0 && <p className="fine">{words.tools.noCalls}</p>}
      <ol className="event-list" data-testid="tool-calls">
        {calls?.map((call) => (
          <li key={call.seq} className={`event${call.isError ? " jobDead" : ""}`} data-testid="tool-call">
            <time dateTime={new Date(call.at).toISOString()}>{when(call.at)}</time>
            <span>
              <span className="function-name">
                {call.server}.{call.tool}
              </span>{" "}
              {words.tools.took(number(Math.round(call.ms * 10) / 10), call.by)}
              {call.problem !== undefined && ` · ${call.problem}`}
              {call.labels !== undefined && ` · ${call.labels.map((label) => words.tools.labels[label] ?? label).join(", ")}`}
              {call.warnings !== undefined && (
                <span className="owned-problem" data-testid="call-warning">
                  {" "}
                  {words.tools.careful}: {call.warnings.join("; ")}
                </span>
              )}
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}
