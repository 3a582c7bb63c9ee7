/**
 * Sockets in a process of their own, because one may not open as many as two sets of ten thousand: `listenerProcess.ts URL COUNT`. Says
 * `{ready}` once all are connected, and `{at}` whenever each has heard one message more.
 */
import { connectAll } from "./listeners.ts";

const [url = "", count = "0"] = process.argv.slice(2);
let left = Number(count);
await connectAll(url, Number(count), () => {
  if (--left > 0) return;
  left = Number(count);
  process.send?.({ at: String(process.hrtime.bigint()) });
});
process.send?.({ ready: true });
process.on("disconnect", () => process.exit(0));
