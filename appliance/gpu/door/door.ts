/**
 * Where machines dial in: enrolment, heartbeats with a signed reply, output, files, checkpoints, results. A call of an attempt that is not the
 * current one is refused, so that a machine that was given up cannot write. The same answers on the appliance's port (by a tunnel, or from
 * afar), and on a socket in a folder that machines on this one are given, who need no network for it.
 */
import { createReadStream } from "node:fs";
import { chmod, mkdir, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Beat, MachineFacts, Order, Shipped } from "../../../convex/model/agent.ts";
import { httpStatuses, NikaError, toNikaError, type Code } from "../../../convex/model/error.ts";
import type { Enrolled, Reply, Work } from "../agent/guest/wire.ts";
import type { Pass, Passes } from "./passes.ts";
import type { Shelf } from "./shelf.ts";

/** What is true of machines; it stands in the control plane. Everything fails with `denied` for a machine whose time is over. */
export type DoorState = {
  /** Lets in whoever shows a token that is waited for: once, and again only for the same nonce, whose answer was lost. */
  enrol(word: {
    readonly key: string;
    readonly token: string;
    readonly nonce: string;
    readonly facts: MachineFacts;
  }): Promise<Let>;
  beat(pass: Pass, beat: Beat): Promise<{ readonly lifeMs: number; readonly orders: readonly Order[] }>;
  /** What it was let in for. */
  held(pass: Pass): Promise<Held>;
  /** Output from an offset on, in bytes; where the next is to begin. Text of other than that offset changes nothing. */
  append(pass: Pass, offset: number, text: string): Promise<number>;
  checkpoint(pass: Pass, checkpoint: { readonly number: number; readonly files: readonly Shipped[] }): Promise<void>;
  /** `isTaken`: the machine was taken away before it was done; the work goes on elsewhere. */
  finish(
    pass: Pass,
    told: { readonly exit: number; readonly isTaken: boolean; readonly files: readonly Shipped[] },
  ): Promise<void>;
};
type Held = { readonly jobId: string; readonly parcel?: string | undefined };
/** `work` is absent for a machine that is only to be there. */
export type Let = {
  readonly pass: Pass;
  readonly lifeMs: number;
  readonly spans?: Enrolled["spans"] & {};
  readonly work?: Held & Pick<Work, "command" | "environment" | "graceMs" | "runMs">;
};

export type DoorOptions = {
  readonly passes: Passes;
  readonly shelf: Shelf;
  readonly state: DoorState;
  /** The agent with its Node, packed: for machines that have neither. Absent where no machine comes from afar. */
  readonly program?: () => Promise<string>;
  readonly log: (line: string) => void;
};

export type Door = {
  /** Answers when the path is one of its own; false otherwise. */
  handle(path: string, request: IncomingMessage, response: ServerResponse): boolean;
  /** Opens the socket `door.sock` in that folder, which the machines of this one are given. */
  listen(folder: string): Promise<void>;
  /** Whoever is muted gets no answer at all, as if this machine were gone. For the proof that machines then end themselves. */
  mute(machineId: string): void;
  close(): Promise<void>;
};

const prefix = "/nika/gpu/agent/";
const jsonBytesMax = 8 << 20;
const logBytesMax = 1 << 20;
/** A machine whose work was given up reads 410 as: it is over. */
const statuses: Readonly<Record<Code, number>> = { ...httpStatuses, cancelled: 410 };

export function openGpuDoor({ passes, shelf, state, program, log }: DoorOptions): Door {
  const muted = new Set<string>();
  const server = createServer((request, response) => {
    // Whoever runs on a machine may ask for anything here, also for what is no address.
    const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
    if (!door.handle(path, request, response)) response.writeHead(404).end();
  });

  const json = (response: ServerResponse, body: object, headers: Record<string, string> = {}): void => {
    response
      .writeHead(200, { "content-type": "application/json", "cache-control": "no-store", ...headers })
      .end(JSON.stringify(body));
  };

  async function enrol(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { token, nonce, facts } = await readJson(request);
    const shown = passes.readToken(String(token));
    if (!shown || typeof token !== "string" || typeof nonce !== "string") throw refused();
    const { pass, lifeMs, work, spans } = await state.enrol({ key: shown.machineId, token, nonce, facts: facts as MachineFacts });
    if (muted.has(pass.machineId)) return void response.destroy();
    const answer: Enrolled = {
      session: passes.session(pass),
      key: passes.key(pass),
      epoch: pass.epoch,
      lifeMs,
      ...(spans && { spans }),
      ...(work && { work: await shipped(work, lifeMs) }),
    };
    json(response, answer);
  }

  async function shipped({ jobId, parcel, ...work }: NonNullable<Let["work"]>, lifeMs: number): Promise<Work> {
    return {
      ...work,
      runMs: Math.min(work.runMs, lifeMs),
      files: parcel === undefined ? [] : (await shelf.parcel(parcel)).files,
      checkpoints: await shelf.checkpoints(jobId),
    };
  }

  async function beat(pass: Pass, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const told = (await readJson(request)) as unknown as Beat;
    const { lifeMs, orders } = await state.beat(pass, { ...told, epoch: pass.epoch });
    const reply: Reply = { epoch: pass.epoch, seq: told.seq, lifeMs, orders };
    json(response, reply, { "x-nika-signature": passes.sign(pass, JSON.stringify(reply)) });
  }

  async function results(pass: Pass, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { files, exitCode, problem, isTaken } = await readJson(request);
    const { jobId } = await state.held(pass);
    const list = toShipped(files);
    if (isTaken !== true) await shelf.finish(jobId, list);
    if (typeof problem === "string") log(`gpu: ${jobId} on ${pass.machineId}: ${problem}`);
    await state.finish(pass, { exit: Number(exitCode), isTaken: isTaken === true, files: list });
    json(response, {});
  }

  async function answer(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { searchParams } = new URL(request.url ?? "/", "http://nika");
    const name = path.slice(prefix.length);
    if (request.method === "POST" && name === "enrol") return enrol(request, response);
    const shown = (request.headers.authorization ?? "").replace(/^Bearer /, "");
    if (request.method === "GET" && name === "program" && program) {
      if (!passes.readToken(shown)) throw refused();
      response.writeHead(200, { "content-type": "application/gzip" });
      return pipeline(createReadStream(await program()), response);
    }
    const pass = passes.readSession(shown);
    if (!pass) throw refused();
    if (muted.has(pass.machineId)) return void response.destroy();
    if (request.method === "POST" && name === "beat") return beat(pass, request, response);
    if (request.method === "POST" && name === "results") return results(pass, request, response);
    const offset = Number(searchParams.get("offset"));
    if (request.method === "POST" && name === "log") {
      const bytes = await readBytes(request, logBytesMax);
      const { text, sizeBytes } = toText(bytes);
      const next = await state.append(pass, offset, text);
      response.statusCode = next === offset + sizeBytes ? 200 : 409;
      return void response.end(JSON.stringify({ next }));
    }
    const held = await state.held(pass);
    if (request.method === "POST" && name === "checkpoint") {
      const { number, files } = await readJson(request);
      const checkpoint = { number: Number(number), files: toShipped(files) };
      await shelf.checkpoint(held.jobId, checkpoint);
      await state.checkpoint(pass, checkpoint);
      return json(response, {});
    }
    const [, sha256] = /^blob\/([0-9a-f]{64})$/.exec(name) ?? [];
    if (sha256 === undefined) throw new NikaError("missing", "There is nothing here.");
    if (request.method === "PUT") {
      const piece = { sha256, sizeBytes: Number(searchParams.get("size")), offset, bytes: request };
      const { next, isNext } = await shelf.take(held.jobId, piece);
      response.statusCode = isNext ? 200 : 409;
      return void response.end(JSON.stringify({ next }));
    }
    const file = shelf.find(held, sha256);
    if (file === undefined) throw new NikaError("missing", "That file is not here.");
    response.writeHead(200, { "content-type": "application/octet-stream" });
    await pipeline(createReadStream(file), response);
  }

  const door: Door = {
    handle(path, request, response) {
      if (!path.startsWith(prefix)) return false;
      answer(path, request, response).catch((thrown: unknown) => {
        const error = toNikaError(thrown);
        if (error.code === "bug") log(`gpu door: ${String(error.cause instanceof Error ? error.cause.stack : error.cause)}`);
        if (response.headersSent) response.destroy();
        else response.writeHead(statuses[error.code]).end(error.message);
      });
      return true;
    },
    async listen(folder) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const path = join(folder, "door.sock");
      await rm(path, { force: true });
      await new Promise<void>((resolve, reject) => server.once("error", reject).listen(path, resolve));
      await chmod(path, 0o600);
    },
    mute: (machineId) => void muted.add(machineId),
    async close() {
      server.closeAllConnections();
      if (server.listening) await new Promise((resolve) => server.close(resolve));
    },
  };
  return door;
}

const refused = (): NikaError => new NikaError("denied", "This machine is not known here, or its time is over.");

function toShipped(value: unknown): Shipped[] {
  if (!Array.isArray(value)) throw new NikaError("invalid", "A list of files was expected.");
  return value.map((one: Partial<Shipped>) => {
    const { path, sha256, sizeBytes, isProgram } = one;
    if (typeof path !== "string" || typeof sha256 !== "string" || !/^[0-9a-f]{64}$/.test(sha256) || typeof sizeBytes !== "number")
      throw new NikaError("invalid", "A file of the list lacks its path, hash or size.");
    if (path.startsWith("/") || path.split("/").includes(".."))
      throw new NikaError("invalid", `"${path}" leads out of its folder.`);
    return { path, sha256, sizeBytes, ...(isProgram === true && { isProgram }) };
  });
}

/**
 * Output as text of exactly as many bytes: what is no UTF-8 becomes "?" byte by byte, so that offsets stay true on both sides. A character that
 * is cut off at the end is left for the next time.
 */
export function toText(bytes: Buffer): { readonly text: string; readonly sizeBytes: number } {
  let end = bytes.length;
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    // Alone it is never completed.
    if (length > back && bytes.length > back) end = bytes.length - back;
    break;
  }
  const whole = bytes.subarray(0, end);
  const text = whole.toString("utf8");
  if (Buffer.byteLength(text) === end && !text.includes("\u{fffd}") && !text.includes("\0")) return { text, sizeBytes: end };
  const plain = Buffer.from(whole.map((byte) => (byte >= 0x80 || byte === 0 ? 0x3f : byte)));
  return { text: plain.toString("latin1"), sizeBytes: end };
}

async function readBytes(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > bytesMax) throw new NikaError("invalid", "That is too much at once.");
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse((await readBytes(request, jsonBytesMax)).toString("utf8"));
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch (error) {
    if (error instanceof NikaError) throw error;
  }
  throw new NikaError("invalid", "A JSON object was expected.");
}
