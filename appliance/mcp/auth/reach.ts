/**
 * How Nika fetches what a server's answers name (metadata, sign-in servers, token endpoints): an address that a stranger chose must not lead into the
 * owner's network. Redirects are followed by GET alone, each looked at anew; addresses are checked where the connection is made, not before.
 */
import { lookup as lookUp, type LookupAddress } from "node:dns";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import type { FetchLike } from "@modelcontextprotocol/client";
import { NikaError } from "../../../convex/model/error.ts";
import { isPublic } from "../../egress/addresses.ts";

const bodyBytesMax = 1024 * 1024;
const replyMs = 15_000;
const redirectsMax = 3;

/** For one server: its own origin may be anything the owner wrote; what it names must be https elsewhere, unless the server itself is at home. */
export function openReach(serverUrl: string): FetchLike {
  const own = new URL(serverUrl);
  const isHome = own.protocol === "http:" || isLocalName(own.hostname);
  return async (to, init) => {
    let url = new URL(to);
    const request = new Request(url, { ...init, redirect: "manual" });
    const body = request.method === "GET" || request.method === "HEAD" ? undefined : Buffer.from(await request.arrayBuffer());
    for (let hops = 0; ; hops++) {
      const isOwn = url.origin === own.origin;
      if (!isHome && !isOwn) mustBeElsewhere(url);
      const reply = await send(url, { request, body, isAnywhere: isHome || isOwn });
      const location = reply.headers.get("location");
      if (body !== undefined || reply.status < 300 || reply.status > 399 || location === null || hops === redirectsMax)
        return reply;
      url = new URL(location, url);
      if (url.origin !== new URL(request.url).origin) request.headers.delete("authorization");
    }
  };
}

/** Names and numbers that mean this machine or its own network. */
export function isLocalName(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, "");
  return bare === "localhost" || bare.endsWith(".localhost") || bare.endsWith(".local") || (isIP(bare) !== 0 && !isPublic(bare));
}

function mustBeElsewhere(url: URL): void {
  if (url.protocol !== "https:")
    throw new NikaError("denied", `The server sends Nika to ${url.origin}, which is not https; it was not followed.`);
  if (isLocalName(url.hostname)) throw inside(url.hostname);
}

const inside = (host: string): NikaError =>
  new NikaError("denied", `The server sends Nika to ${host}, which is inside your own network; it was not followed.`);

/** Refuses, at the moment of dialling, names that stand for addresses of the owner's network. */
const guarded: LookupFunction = (host, options, done) => {
  lookUp(host, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
    const [first] = addresses ?? [];
    if (error || !first) done(error ?? new Error(`${host} has no address`), "", 0);
    else if (!addresses.every(({ address }) => isPublic(address))) done(inside(host), "", 0);
    else if (options.all === true) done(null, addresses);
    else done(null, first.address, first.family);
  });
};

type Sent = { readonly request: Request; readonly body: Buffer | undefined; readonly isAnywhere: boolean };

function send(url: URL, { request, body, isAnywhere }: Sent): Promise<Response> {
  return new Promise((done, fail) => {
    const outgoing = (url.protocol === "https:" ? requestHttps : requestHttp)(
      url,
      {
        method: request.method,
        headers: { ...Object.fromEntries(request.headers), ...(body && { "content-length": body.length }) },
        signal: AbortSignal.any([request.signal, AbortSignal.timeout(replyMs)]),
        agent: false,
        ...(!isAnywhere && { lookup: guarded }),
      },
      (incoming) => {
        const chunks: Buffer[] = [];
        let sizeBytes = 0;
        incoming.on("data", (chunk: Buffer) => {
          sizeBytes += chunk.length;
          if (sizeBytes <= bodyBytesMax) chunks.push(chunk);
          else incoming.destroy(new NikaError("full", `${url.host} answered with more than ${bodyBytesMax / 1024} KB.`));
        });
        incoming.once("error", fail);
        incoming.once("end", () => {
          const headers = new Headers();
          for (const [name, value] of Object.entries(incoming.headers))
            for (const one of Array.isArray(value) ? value : [value ?? ""]) headers.append(name, one);
          const status = incoming.statusCode ?? 500;
          done(new Response([204, 205, 304].includes(status) ? null : Buffer.concat(chunks), { status, headers }));
        });
      },
    );
    outgoing.once("error", (error) =>
      fail(
        error.name === "NikaError"
          ? error
          : new NikaError("unavailable", `${url.host} cannot be reached (${error.message}).`, { cause: error }),
      ),
    );
    outgoing.end(body);
  });
}
