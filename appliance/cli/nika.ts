#!/usr/bin/env node
/** The `nika` command. Everything here is about starting fast and ending well; the commands are in program.ts. */
import "./compileCache.ts";

/** Kept in step with `nodeMajorMin` in checkHost.ts, which must not be loaded by an older Node. */
if (Number(process.versions.node.split(".")[0]) < 24) {
  process.stderr.write(`nika: Nika needs Node 24 or newer; this is ${process.version}.\n`);
  process.exit(69);
}
const { runCommand } = await import("./run.ts");
process.exitCode = await runCommand(process.argv.slice(2), process);
