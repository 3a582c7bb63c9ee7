import { useEffect, useState } from "react";

/** The time, told again every few seconds while something runs: what it costs grows with it. */
export function useNow(isRunning: boolean, everyMs = 5_000): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (!isRunning) return;
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [isRunning, everyMs]);
  return now;
}
