/**
 * A child process that writes until it is killed. Says "acknowledged N" for each mutation that resolved; numbers go on from the one
 * given, and each is one session's request, so that one that was cut off can be sent again.
 */
import { writeSync } from "node:fs";
import { admin, openTestCore, requestId } from "../openTestCore.ts";

const [dir = "", from = "0"] = process.argv.slice(2);
const inFlight = 8;
const { core } = await openTestCore({ dir });
let number = Number(from);

async function write(): Promise<void> {
  for (;;) {
    const mine = number++;
    const args = JSON.stringify({ text: "x".repeat(200), rank: mine });
    const { result } = await core.mutation({
      path: "notes:add",
      args,
      identity: admin,
      requestId,
      session: { id: "writer", requestId: mine },
    });
    writeSync(1, result.ok ? `acknowledged ${mine}\n` : `refused ${mine} ${JSON.stringify(result.message)}\n`);
    if (!result.ok) {
      const [read] = await core.queries([{ path: "notes:firstByRank", args: "{}", identity: admin, requestId, journal: null }]);
      writeSync(1, `reads ${String(read?.result.ok)}\n`);
      process.exit(0);
    }
  }
}
await Promise.all(Array.from({ length: inFlight }, write));
