/** Answers everything with the text it was given: what is left is what the client and the wire cost. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { parentPort, workerData } from "node:worker_threads";

const answer = workerData as string;
const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(answer) };
const server = createServer((request, response) => {
  request.resume().on("end", () => response.writeHead(200, headers).end(answer));
});
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port, not a window
server.listen(0, "127.0.0.1", () => parentPort!.postMessage((server.address() as AddressInfo).port));
