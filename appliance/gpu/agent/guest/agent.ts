/**
 * What runs on a machine that works for Nika: these files and Node, nothing else; they are shipped without their types (see ../ship.ts) to machines
 * of any make. It is two processes, the guard and the one that dials out.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { Refused } from "./call.ts";
import { guard } from "./guard.ts";
import { note } from "./note.ts";
import { settingOf } from "./setting.ts";
import type { ToGuard } from "./wire.ts";
import { work } from "./work.ts";

const setting = settingOf(process.env);
if (process.argv[2] === "work")
  work(setting).catch((error: unknown) => {
    note(setting.folder, String(error instanceof Error ? error.stack : error));
    if (error instanceof Refused) process.send?.({ type: "over", why: `sent away: ${error.message}` } satisfies ToGuard);
    else process.exit(1);
  });
else {
  rmSync(join(setting.folder, "agent.log.old"), { force: true });
  guard(setting, process.env);
}
