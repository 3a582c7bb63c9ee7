/**
 * Functions over HTTP: /hooks/NAME for whoever may sign, /nika/functions for the owner. A hook checks, enqueues and answers; nothing of
 * the function runs in the request.
 */
import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { internal } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import { NikaError } from "../../convex/model/error.ts";
import { inlineCharsMax, inputBytesMax, isFunctionName, toFunctionName, type Webhook } from "../../convex/model/userFunction.ts";
import type { FunctionAnswer, FunctionCall } from "../../functions/functions/call.ts";
import type { Files } from "../../functions/ports/files.ts";
import type { Secrets } from "../../functions/ports/secrets.ts";
import type { State } from "../../functions/ports/state.ts";
import type { Owned } from "./owned.ts";
import { verify } from "./signature.ts";

export type FunctionRoutesOptions = {
  readonly owned: Pick<Owned, "manifest" | "remove">;
  readonly call: (call: FunctionCall, signal: AbortSignal) => Promise<FunctionAnswer>;
  readonly state: State;
  readonly files: Pick<Files, "write">;
  readonly secrets: Secrets;
  readonly now: () => number;
  readonly log: (line: string) => void;
};

/** What the routes need from the server around them. */
export type FunctionExchange = {
  readonly isOwner: (token: string) => boolean;
  readonly readJson: (request: IncomingMessage, bytesMax?: number) => Promise<Record<string, unknown>>;
  readonly send: (status: number, body: object) => void;
};
/** Undefined when the path is none of ours. */
export type FunctionRoutes = (
  path: string,
) => ((request: IncomingMessage, response: ServerResponse, exchange: FunctionExchange) => Promise<void>) | undefined;

const hookPrefix = "/hooks/";
const ownerPrefix = "/nika/functions/";
const minuteMs = 60_000;
/** In the store of secrets, beside those of services. */
const secretPrefix = "webhook.";
/** The function has no business with these. */
const keptBack = new Set(["authorization", "cookie", "proxy-authorization", "host", "connection", "content-length"]);

export function functionRoutes(options: FunctionRoutesOptions): FunctionRoutes {
  const secretOf = openSecretOf(options.secrets);
  const hasRoom = openMeter(options.now);
  const verbs: Readonly<Record<string, (body: Record<string, unknown>, signal: AbortSignal) => Promise<object>>> = {
    async call({ name, input = null, trigger }, signal) {
      const call = { name: toName(name), input: JSON.stringify(input), trigger: trigger === "agent" ? trigger : "call" } as const;
      return options.call(call, signal);
    },
    async remove({ name }) {
      await options.owned.remove(toName(name));
      return { removed: true };
    },
    /** Keeps the secret that is given, or makes one and tells it, once; with `isFirst` only where there is none. */
    async secret({ name, value, isFirst }) {
      const webhook = options.owned.manifest(toName(name))?.webhook;
      if (!webhook)
        throw new NikaError("missing", `The function ${String(name)} has no webhook; see "webhook" in function.json.`);
      if (value !== undefined && (typeof value !== "string" || value.trim().length < 16))
        throw new NikaError("invalid", "A secret has at least 16 characters.");
      const full = secretPrefix + webhook.secret;
      if (isFirst === true && (await options.secrets.list()).some((one) => one.name === full)) return {};
      const secret = value?.trim() ?? `whsec_${randomBytes(32).toString("base64")}`;
      await options.secrets.set(full, secret, "functions");
      return value === undefined ? { secret } : {};
    },
  };
  return (path) => {
    if (path.startsWith(hookPrefix))
      return (request, response, exchange) => hook(path.slice(hookPrefix.length), { request, response, ...exchange });
    const verb = path.startsWith(ownerPrefix) ? verbs[path.slice(ownerPrefix.length)] : undefined;
    if (!verb) return undefined;
    return async (request, response, { isOwner, readJson, send }) => {
      const token = request.headers.authorization?.replace(/^Bearer /u, "") ?? "";
      if (!isOwner(token)) throw new NikaError("denied", "Only the owner may do this.");
      if (request.method !== "POST") throw new NikaError("invalid", "Only POST works here.");
      const body = await readJson(request, 2 * inputBytesMax);
      const gone = new AbortController();
      response.on("close", () => gone.abort());
      const answer = await verb(body, gone.signal);
      if (!gone.signal.aborted) send(200, answer);
    };
  };

  type Hook = Pick<FunctionExchange, "send"> & { readonly request: IncomingMessage; readonly response: ServerResponse };

  async function hook(name: string, { request, response, send }: Hook): Promise<void> {
    const webhook = isFunctionName(name) ? options.owned.manifest(name)?.webhook : undefined;
    // A function without a hook and no function at all look the same from outside.
    if (!webhook) throw new NikaError("missing", "There is no hook at this address.");
    if (request.method !== "POST") {
      response.setHeader("Allow", "POST");
      return send(405, { code: "invalid", message: "A hook takes POST." });
    }
    const body = await readBytes(request);
    if (!body) {
      response.setHeader("Connection", "close");
      return send(413, { code: "full", message: `A delivery has at most ${inputBytesMax / 1024} KB.` });
    }
    const secret = webhook.verify === "none" ? undefined : await secretOf(webhook.secret);
    const verdict = verify(webhook, secret, { headers: request.headers, body, now: options.now() });
    if (!verdict.ok) {
      options.log(`hook ${name}: refused, ${verdict.why}`);
      throw new NikaError("denied", "The delivery is not signed as it should be.");
    }
    if (!hasRoom(name, webhook)) {
      response.setHeader("Retry-After", "60");
      return send(429, { code: "unavailable", message: "Too many deliveries; come back in a minute." });
    }
    const input = JSON.stringify(toInput(request, body, webhook));
    const { id, isNew } = await options.state.mutation(internal.functions.enqueue, {
      name,
      trigger: "webhook",
      ...(await placed(input)),
      ...(verdict.key !== undefined && { deliveryKey: verdict.key }),
    });
    send(202, { id, duplicate: !isNew });
  }

  async function placed(input: string): Promise<{ input: string } | { inputId: Id<"_storage"> }> {
    if (input.length <= inlineCharsMax) return { input };
    const url = await options.state.mutation(internal.sources.uploadUrl, {});
    const signal = AbortSignal.timeout(minuteMs);
    return { inputId: (await options.files.write(url, Buffer.from(input), { signal })) as Id<"_storage"> };
  }
}

/** What the function gets: the body parsed where it is JSON, and what came with it. */
function toInput(request: IncomingMessage, bytes: Buffer, { header }: Webhook): object {
  const text = bytes.toString("utf8");
  const headers = Object.fromEntries(
    Object.entries(request.headers).filter(([name, value]) => value !== undefined && name !== header && !keptBack.has(name)),
  );
  const query = Object.fromEntries(new URL(request.url ?? "/", "http://nika").searchParams);
  let body: unknown = text;
  if (/\bjson\b/iu.test(request.headers["content-type"] ?? "")) {
    try {
      body = JSON.parse(text);
    } catch {
      // Then it is text, and the function may say what it thinks of it.
    }
  }
  return { body, headers, query };
}

/** Undefined when there is more than may be; the rest is not taken in. */
async function readBytes(request: IncomingMessage): Promise<Buffer | undefined> {
  if (Number(request.headers["content-length"] ?? 0) > inputBytesMax) return undefined;
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > inputBytesMax) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Decrypting costs, and each reading is written down: a flood of bad deliveries must cause neither. */
function openSecretOf(secrets: Secrets): (name: string) => Promise<string | undefined> {
  const known = new Map<string, { readonly setAt: number; readonly value: string | undefined }>();
  return async (reference) => {
    const name = secretPrefix + reference;
    const there = (await secrets.list()).find((one) => one.name === name);
    if (!there) return undefined;
    const had = known.get(name);
    if (had?.setAt === there.setAt) return had.value;
    const value = await secrets.find(name, "webhooks");
    known.set(name, { setAt: there.setAt, value });
    return value;
  };
}

/** So many a minute, evenly refilled. Only of functions that there are, so it stays small. */
function openMeter(now: () => number): (name: string, webhook: Webhook) => boolean {
  const buckets = new Map<string, { left: number; at: number }>();
  return (name, { perMinuteMax }) => {
    const at = now();
    const { left, at: before } = buckets.get(name) ?? { left: perMinuteMax, at };
    const full = Math.min(perMinuteMax, left + (Math.max(0, at - before) * perMinuteMax) / minuteMs);
    buckets.set(name, { left: full < 1 ? full : full - 1, at });
    return full >= 1;
  };
}

function toName(given: unknown): string {
  if (typeof given !== "string") throw new NikaError("invalid", `Say in "name" which function.`);
  return toFunctionName(given);
}
