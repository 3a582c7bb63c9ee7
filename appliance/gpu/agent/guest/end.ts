/** How the machine is ended from inside. */
import { spawnSync } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { call } from "./call.ts";
import { note } from "./note.ts";
import type { Setting } from "./setting.ts";

/** Ends the machine; does not return while it lives. */
export async function endMachine({ end, folder }: Setting, why: string): Promise<never> {
  note(folder, `ends the machine: ${why}`);
  for (let waitMs = 1_000; ; waitMs = Math.min(waitMs * 2, 30_000)) {
    const kept: Record<string, string> = {};
    for (const step of end) {
      if (step.type === "exit") process.exit(0);
      if (step.type === "shutdown") {
        for (const [program = "", ...args] of [
          ["systemctl", "poweroff", "--no-wall"],
          ["shutdown", "-h", "now"],
          ["poweroff", "-f"],
        ])
          if (spawnSync(program, args, { timeout: 20_000 }).status === 0) break;
        continue;
      }
      const fill = (text: string): string => text.replace(/\{\{(\w+)\}\}/g, (_, name: string) => kept[name] ?? "");
      try {
        const { status, body } = await call(fill(step.url), {
          method: step.method,
          headers: Object.fromEntries(Object.entries(step.headers ?? {}).map(([key, value]) => [key, fill(value)])),
          ...(step.body !== undefined && { body: Buffer.from(fill(step.body)) }),
          timeoutMs: 20_000,
        });
        note(folder, `asked the vendor to end it: ${status}`);
        if (step.keep) {
          const text = body.toString("utf8");
          const { name, field } = step.keep;
          kept[name] = field === "" ? text : ((JSON.parse(text) as Record<string, string>)[field] ?? "");
        }
      } catch (error) {
        note(folder, `asking the vendor to end it failed: ${String(error)}`);
      }
    }
    await delay(waitMs);
  }
}
