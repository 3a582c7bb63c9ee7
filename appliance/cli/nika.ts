#!/usr/bin/env node
/** The `nika` command. Everything here is about starting fast and ending well; the commands are in program.ts. */
import { enableCompileCache } from "node:module";

/** Kept in step with `nodeMajorMin` in checkHost.ts, which must not be loaded by an older Node. */
if (Number(process.versions.node.split(".")[0]) < 24) {
  process.stderr.write(`nika: Nika needs Node 24 or newer; this is ${process.version}.\n`);
  process.exit(69);
}
// Compiled code is kept between runs in the system's temporary folder; it saves a third of the start.
enableCompileCache();
const { runCommand } = await import("./run.ts");
process.exitCode = await runCommand(process.argv.slice(2), process);
