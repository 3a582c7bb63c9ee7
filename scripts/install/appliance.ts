/** The appliance of an installation: is it running, and is it well. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

export type Running = { readonly pid: number; readonly port: number; readonly url: string };

const healthMs = 5_000;

/** The appliance that serves PREFIX/data, if its process lives. */
export function findRunning(prefix: string): Running | undefined {
  try {
    const run = JSON.parse(readFileSync(join(prefix, "data", "run.json"), "utf8")) as Running;
    process.kill(run.pid, 0);
    return run;
  } catch {
    return undefined;
  }
}

/** Whether it answers, as the very process it says it is. */
export async function isHealthy(prefix: string): Promise<boolean> {
  const running = findRunning(prefix);
  if (running === undefined) return false;
  try {
    const answer = await fetch(`${running.url}/nika/health`, { signal: AbortSignal.timeout(healthMs) });
    const health = (await answer.json()) as { status?: string; pid?: number };
    return answer.ok && health.status === "ok" && health.pid === running.pid;
  } catch {
    return false;
  }
}
