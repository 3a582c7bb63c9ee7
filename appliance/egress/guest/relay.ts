/**
 * The inner end of the way out: takes connections on the sandbox's own loopback and passes their bytes through its stdout and stdin to
 * the gate, which decides. Nothing is decided here, and nothing here is trusted.
 */
import { createServer } from "node:net";
import { pipeline } from "node:stream";
import { openMux } from "./frames.ts";

/** Known to the program by its variables. */
const port = 3128;

const mux = openMux({ input: process.stdin, output: process.stdout, closed: () => process.exit(0) });
createServer({ allowHalfOpen: true }, (socket) => {
  const connection = mux.open();
  const quiet = (): void => undefined;
  pipeline(socket, connection, quiet);
  pipeline(connection, socket, quiet);
}).listen(port, "127.0.0.1");
