/** The pipe of a client nobody knows: what is no JSON, or no message of the protocol, is answered as JSON-RPC has it instead of being dropped. */
import type { Duplex } from "node:stream";
import { parseJSONRPCMessage, type Transport } from "@modelcontextprotocol/server";
import { isRecord } from "../meta.ts";
import { pipeTransport } from "../pipe.ts";

const parseError = -32700;
const invalidRequest = -32600;

/** For the side that serves. */
export function strictPipe(socket: Duplex): Transport {
  const transport = pipeTransport({ input: socket, output: socket }, () => Promise.resolve(), {
    check: (value) => parseJSONRPCMessage(value),
    refuse(value) {
      if (isRecord(value) && ("result" in value || "error" in value)) return;
      const id = isRecord(value) ? value["id"] : undefined;
      const isNamed = typeof id === "string" || typeof id === "number";
      // What has no name wants no answer, unless it cannot be read at all.
      if (isRecord(value) && !isNamed && typeof value["method"] === "string" && id === undefined) return;
      const error =
        value === undefined
          ? { code: parseError, message: "This is no JSON." }
          : { code: invalidRequest, message: "This is no message of the protocol." };
      socket.write(`${JSON.stringify({ jsonrpc: "2.0", id: isNamed ? id : null, error })}\n`);
    },
  });
  return transport;
}
