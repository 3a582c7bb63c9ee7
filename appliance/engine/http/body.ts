/** Request bodies of bounded size. */
import type { IncomingMessage } from "node:http";
import { Transform } from "node:stream";
import { NikaError } from "../../../convex/model/error.ts";
import { Refusal } from "./reply.ts";

/** Function arguments may have 16 MiB; a batch holds several. */
export const jsonBytesMax = 32 * 1024 * 1024;

/** A body that says that it is no longer is taken as it comes, which is the shortest way. */
const shortBytesMax = 64 * 1024;

function readShort(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => resolve(parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)));
    request.on("error", reject);
    // Every request closes; to make an error for each would cost a tenth of what a query takes.
    request.on("close", () => {
      if (!request.readableEnded) reject(new Error("The request was broken off."));
    });
  });
}

/** Fails with 413 above `bytesMax`, before reading on. */
export async function readBody(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  const told = Number(request.headers["content-length"] ?? Number.NaN);
  if (told <= Math.min(bytesMax, shortBytesMax)) return readShort(request);
  mustFit(told, bytesMax);
  for await (const part of request) {
    size += (part as Buffer).length;
    mustFit(size, bytesMax);
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts);
}

export async function readJsonObject(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const text = (await readBody(request, jsonBytesMax)).toString();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new NikaError("invalid", "The body is not JSON.", { cause });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new NikaError("invalid", "The body must be a JSON object.");
}

/** Passes bytes on until there are too many, then breaks the stream with 413. */
export function limited(bytesMax: number): Transform {
  let size = 0;
  return new Transform({
    transform(part: Buffer, _encoding, done) {
      size += part.length;
      if (size > bytesMax) done(tooLarge(bytesMax));
      else done(null, part);
    },
  });
}

export function mustFit(sizeBytes: number, bytesMax: number): void {
  if (sizeBytes > bytesMax) throw tooLarge(bytesMax);
}

function tooLarge(bytesMax: number): Refusal {
  return new Refusal(413, "full", `The body is larger than ${Math.floor(bytesMax / (1024 * 1024))} MiB.`);
}
