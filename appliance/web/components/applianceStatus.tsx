import { useQuery } from "convex/react";
import { api } from "../../../convex/_generated/api.js";
import type { DocumentCounts } from "../../../convex/model/document.ts";
import { useSpeech } from "../language/language.tsx";
import { useConnection } from "./connection.ts";

/** One quiet line: is it well, and how much does it know. */
export function ApplianceStatus() {
  const { words } = useSpeech();
  const connection = useConnection();
  const counts = useQuery(api.documents.counts);
  const about = useQuery(api.appliance.status);
  const { status } = words;
  return (
    <div className="status" role="group" aria-label={status.label} data-testid="status">
      <span className={`status-state ${connection}`} data-testid="connection" data-state={connection}>
        <span className="status-dot" aria-hidden="true" />
        {status[connection]}
      </span>
      <span className="status-holds">{counts && status.holds(totalOf(counts), counts.passages)}</span>
      {about && (
        <span className="status-embedder">
          {about.embedder.isBaseline ? status.baseline : about.embedder.label}
          <br />
          {about.embedder.isBaseline ? status.wordsNotMeanings : status.meanings}
        </span>
      )}
    </div>
  );
}

/** Said in a banner as soon as what is on the page may be old. */
export function ConnectionBanner() {
  const { status } = useSpeech().words;
  const connection = useConnection();
  return (
    <div className="banner-place" role="status">
      {connection === "reconnecting" && <p className="banner">{status.reconnectingNotice}</p>}
      {connection === "offline" && <p className="banner">{status.offlineNotice}</p>}
    </div>
  );
}

export function totalOf(counts: DocumentCounts): number {
  return counts.waiting + counts.reading + counts.staged + counts.ready + counts.unreadable + counts.forgetting;
}
