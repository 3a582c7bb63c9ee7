/** How the control plane's functions do, as the embedded engine tells it live. A Convex backend keeps its own and has no such query. */
import { useQueries } from "convex/react";
import { makeFunctionReference } from "convex/server";
import { useEffect, useMemo, useState } from "react";
import { shiftedTo, type Statistics } from "./functionSums.ts";

const query = makeFunctionReference<"query", Record<string, never>, Statistics>("_system/nika/functions:stats");
const request = { stats: { query, args: {} } };
const minuteMs = 60_000;

/** Undefined while it loads, null when this control plane does not tell. */
export function useStatistics(): Statistics | null | undefined {
  // Not `useQuery`, which throws what a backend answers that does not know the question.
  const stats = useQueries(request)["stats"] as Statistics | Error | undefined;
  const minute = useMinute();
  return useMemo(() => (stats instanceof Error ? null : stats && shiftedTo(stats, minute)), [stats, minute]);
}

function useMinute(): number {
  const [minute, setMinute] = useState(() => Math.floor(Date.now() / minuteMs));
  useEffect(() => {
    const timer = window.setInterval(() => setMinute(Math.floor(Date.now() / minuteMs)), 10_000);
    return () => window.clearInterval(timer);
  }, []);
  return minute;
}
