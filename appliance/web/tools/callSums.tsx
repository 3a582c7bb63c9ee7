import { useEffect, useState } from "react";
import { useAttempt } from "../components/notice.tsx";
import { useSpeech } from "../language/language.tsx";
import { askAppliance } from "../session/requests.ts";

type Sums = {
  readonly name: string;
  readonly calls: number;
  readonly errors: number;
  readonly msHalf: number;
  readonly cost: number;
};
type Stats = {
  readonly all: Omit<Sums, "name"> & { readonly warned: number; readonly asked: number };
  readonly tools: readonly Sums[];
};
type Seen = {
  readonly thread: string;
  readonly by: string;
  readonly at: number;
  readonly taint: { readonly private: readonly string[]; readonly untrusted: readonly string[] };
};

const toolsShown = 12;

/** Sums over the log of calls, and what conversations have seen, both as of when the screen was opened or `newest` changed. */
export function CallSums({ newest }: { newest: number | undefined }) {
  const { words, when, number } = useSpeech();
  const { tools } = words;
  const attempt = useAttempt();
  const [stats, setStats] = useState<Stats>();
  const [seen, setSeen] = useState<readonly Seen[]>([]);
  useEffect(() => {
    let isGone = false;
    const look = async (): Promise<void> => {
      const [sums, conversations] = await Promise.all([
        askAppliance<Stats>("POST", "/nika/mcp/stats", { body: { days: 30 } }),
        askAppliance<{ seen: Seen[] }>("POST", "/nika/mcp/seen", { body: {} }),
      ]);
      if (isGone) return;
      setStats(sums);
      setSeen(conversations.seen);
    };
    // It is looked at again with the next call.
    look().catch(() => undefined);
    return () => {
      isGone = true;
    };
  }, [newest]);
  const clear = async (): Promise<void> => {
    await askAppliance("POST", "/nika/mcp/seen", { body: { isOver: true } });
    setSeen([]);
  };
  if (!stats || (stats.all.calls === 0 && seen.length === 0)) return null;
  const { all } = stats;
  return (
    <section className="section" data-testid="call-sums">
      <h2>{tools.sums}</h2>
      <p className="fine">{tools.sumsOf(all.calls, all.errors, all.warned)}</p>
      <ul className="rows">
        {stats.tools.slice(0, toolsShown).map(({ name, calls, errors, msHalf, cost }) => (
          <li key={name} className="row-facts">
            <span className="function-name">{name}</span> {tools.sumOf(calls, errors, number(msHalf))}
            {cost > 0 && ` · ${tools.cost(number(cost))}`}
          </li>
        ))}
      </ul>
      {seen.length > 0 && (
        <>
          <h2>{tools.conversations}</h2>
          <p className="fine">{tools.conversationsWhy}</p>
          <ul className="rows" data-testid="conversations">
            {seen.slice(0, toolsShown).map(({ thread, by, at, taint }) => (
              <li key={thread} className="row-facts">
                {by} · {when(at)}
                {taint.private.length > 0 && ` · ${tools.privateFrom(taint.private.join(", "))}`}
                {taint.untrusted.length > 0 && ` · ${tools.outsideFrom(taint.untrusted.join(", "))}`}
              </li>
            ))}
          </ul>
          <button type="button" className="button small" data-testid="conversations-clear" onClick={() => attempt(clear)}>
            {tools.conversationsClear}
          </button>
        </>
      )}
    </section>
  );
}
