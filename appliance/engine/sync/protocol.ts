/**
 * The words of the sync protocol, as the npm client speaks it (convex 1.48, src/browser/sync/protocol.ts). A message that is not one of
 * these is a violation: the client is told once and for good, because repeating it could not help.
 */
import { NikaError } from "../../../convex/model/error.ts";
import type { Credential } from "../auth/authenticator.ts";

export type ClientMessage =
  | {
      readonly type: "Connect";
      readonly sessionId: string;
      readonly maxObservedTs: bigint | undefined;
      readonly clientTsMs: number;
    }
  | { readonly type: "Authenticate"; readonly baseVersion: number; readonly credential: Credential }
  | {
      readonly type: "ModifyQuerySet";
      readonly baseVersion: number;
      readonly newVersion: number;
      readonly modifications: readonly Modification[];
    }
  | { readonly type: "Mutation" | "Action"; readonly requestId: number; readonly path: string; readonly args: string }
  | { readonly type: "Event" };

export type Modification =
  | {
      readonly type: "Add";
      readonly queryId: number;
      readonly path: string;
      readonly args: string;
      readonly journal: string | null;
    }
  | { readonly type: "Remove"; readonly queryId: number };

export type Version = { readonly querySet: number; readonly identity: number; readonly ts: bigint };

/** The client broke the protocol; repeating the message could not help. */
export function violation(message: string): NikaError {
  return new NikaError("invalid", message);
}

/** What a client sent. Throws a `violation`. */
export function parseClientMessage(text: string): ClientMessage {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw violation("A message was not JSON.");
  }
  const message = objectOf(value, "A message");
  switch (message["type"]) {
    case "Connect":
      return {
        type: "Connect",
        sessionId: sessionIdOf(message["sessionId"]),
        maxObservedTs: message["maxObservedTimestamp"] === undefined ? undefined : parseTs(message["maxObservedTimestamp"]),
        clientTsMs: typeof message["clientTs"] === "number" ? message["clientTs"] : Number.NaN,
      };
    case "Authenticate":
      return {
        type: "Authenticate",
        baseVersion: countOf(message["baseVersion"], "baseVersion"),
        credential: credentialOf(message),
      };
    case "ModifyQuerySet":
      return {
        type: "ModifyQuerySet",
        baseVersion: countOf(message["baseVersion"], "baseVersion"),
        newVersion: countOf(message["newVersion"], "newVersion"),
        modifications: arrayOf(message["modifications"], "modifications").map(modificationOf),
      };
    case "Mutation":
    case "Action":
      refuseComponent(message);
      return {
        type: message["type"],
        requestId: countOf(message["requestId"], "requestId"),
        path: textOf(message["udfPath"], "udfPath"),
        args: argsOf(message["args"]),
      };
    case "Event":
      return { type: "Event" };
    default:
      throw violation("A message was of a type that this server does not know.");
  }
}

/** Eight bytes, little-endian, base64. */
export function encodeTs(ts: bigint): string {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(ts);
  return bytes.toString("base64");
}

export function parseTs(value: unknown): bigint {
  const bytes = Buffer.from(textOf(value, "A timestamp"), "base64");
  if (bytes.length !== 8) throw violation("A timestamp was not eight bytes in base64.");
  return bytes.readBigUInt64LE();
}

function modificationOf(value: unknown): Modification {
  const one = objectOf(value, "A modification");
  const queryId = countOf(one["queryId"], "queryId");
  if (one["type"] === "Remove") return { type: "Remove", queryId };
  if (one["type"] !== "Add") throw violation("A modification was neither Add nor Remove.");
  refuseComponent(one);
  const journal = one["journal"] ?? null;
  return {
    type: "Add",
    queryId,
    path: textOf(one["udfPath"], "udfPath"),
    args: argsOf(one["args"]),
    journal: journal === null ? null : textOf(journal, "journal"),
  };
}

function credentialOf(message: Readonly<Record<string, unknown>>): Credential {
  switch (message["tokenType"]) {
    case "None":
      return { type: "none" };
    case "User":
      return { type: "user", token: textOf(message["value"], "value") };
    case "Admin": {
      const actingAs = message["impersonating"] ?? message["actingAs"] ?? undefined;
      return {
        type: "admin",
        key: textOf(message["value"], "value"),
        actingAs: actingAs === undefined ? undefined : objectOf(actingAs, "impersonating"),
      };
    }
    default:
      throw violation("tokenType must be Admin, User or None.");
  }
}

/** The client sends a list of one object, or of none. */
function argsOf(value: unknown): string {
  const list = arrayOf(value, "args");
  if (list.length > 1) throw violation("args must hold one object.");
  return JSON.stringify(list.length === 0 ? {} : objectOf(list[0], "args[0]"));
}

function refuseComponent(message: Readonly<Record<string, unknown>>): void {
  const path = message["componentPath"];
  if (path !== undefined && path !== null && path !== "") throw violation("This server has no components.");
}

function sessionIdOf(value: unknown): string {
  const text = textOf(value, "sessionId");
  if (text.length === 0 || text.length > 64) throw violation("sessionId must have 1 to 64 characters.");
  return text;
}

function objectOf(value: unknown, name: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw violation(`${name} must be an object.`);
  return value as Record<string, unknown>;
}

function arrayOf(value: unknown, name: string): readonly unknown[] {
  if (!Array.isArray(value)) throw violation(`${name} must be an array.`);
  return value;
}

function textOf(value: unknown, name: string): string {
  if (typeof value !== "string") throw violation(`${name} must be a string.`);
  return value;
}

/** Versions and ids: whole, not negative, and within 32 bits as in the original. */
function countOf(value: unknown, name: string): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > 0xffff_ffff)
    throw violation(`${name} must be a whole number from 0 to 4294967295.`);
  return value;
}
