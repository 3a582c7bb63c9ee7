/** A Nika's servers in a process of its own, to be killed: opens the folder it is given, takes what is declared there, and says when a trial is under way. */
import { pretended } from "./evil.ts";
import { openMcpPlace } from "./place.ts";

const place = await openMcpPlace({ dir: process.argv[2] ?? "", launch: { sandboxes: pretended() } });
const timer = setInterval(() => {
  if (place.pool.standings().some(({ upgrade }) => upgrade && upgrade.sha256 === undefined)) process.stdout.write("trying\n");
}, 10);
await place.reload();
clearInterval(timer);
process.stdout.write("done\n");
