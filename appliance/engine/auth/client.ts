/** What functions may learn of the request that called them, by `ctx.meta.getRequestMetadata()`. */
import type { IncomingMessage } from "node:http";
import type { RequestClient } from "../model/call.ts";
import type { Asker } from "./authenticator.ts";

/** The address is that of the connection: behind a proxy, the proxy's. */
export function clientOf(request: IncomingMessage, { token = null }: { readonly token?: Asker["token"] | null }): RequestClient {
  return {
    ip: request.socket.remoteAddress?.replace(/^::ffff:/, "") ?? null,
    userAgent: request.headers["user-agent"] ?? null,
    authToken: token,
  };
}
