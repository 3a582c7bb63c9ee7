import { createWriteStream, rmSync } from "node:fs";
import type { IncomingHttpHeaders } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Busboy } from "@fastify/busboy";
import { isAbsent, refuseOthers, toText } from "../body.ts";
import { badFormat, badRequest, Refusal } from "../refusal.ts";
import type { Call, Route } from "../route.ts";

const ofCollection = "/collections/{c}/snapshots";

export const snapshotRoutes: readonly Route[] = [
  { method: "GET", pattern: ofCollection, answer: (call) => call.store.snapshots.list(nameOf(call)) },
  { method: "POST", pattern: ofCollection, answer: ({ store, path }) => store.createSnapshot(path["c"]!) },
  { method: "GET", pattern: `${ofCollection}/{s}`, answer: (call) => download(call, nameOf(call)) },
  { method: "DELETE", pattern: `${ofCollection}/{s}`, answer: (call) => remove(call, nameOf(call)) },
  { method: "PUT", pattern: `${ofCollection}/recover`, answer: recover },
  { method: "POST", pattern: `${ofCollection}/upload`, answer: upload, isStreamed: true },
  { method: "GET", pattern: "/snapshots", answer: ({ store }) => store.snapshots.list(undefined) },
  { method: "POST", pattern: "/snapshots", answer: ({ store }) => store.createFullSnapshot() },
  { method: "GET", pattern: "/snapshots/{s}", answer: (call) => download(call, undefined) },
  { method: "DELETE", pattern: "/snapshots/{s}", answer: (call) => remove(call, undefined) },
];

/** The collection's own name, which an alias may stand for. */
const nameOf = ({ store, path }: Call): string => store.get(path["c"]!).name;

const download = ({ store, path }: Call, collection: string | undefined): unknown => ({
  file: store.snapshots.path(collection, path["s"]!),
});

function remove({ store, path }: Call, collection: string | undefined): boolean {
  store.snapshots.delete(collection, path["s"]!);
  return true;
}

const priorities = ["no_sync", "snapshot", "replica"];

/** From a file in the folder of snapshots, or from a server that hands one out. */
async function recover(call: Call): Promise<boolean> {
  const { store, path, body } = call;
  refuseOthers(body, ["location", "priority", "checksum", "api_key"], "recovering a snapshot");
  const location = toText(body["location"], "location");
  // There is no other copy of the data that could have priority; the word is checked and means nothing.
  if (!isAbsent(body["priority"]) && !priorities.includes(body["priority"] as string))
    throw badFormat(`priority: expected one of ${priorities.join(", ")}`);
  const checksum = isAbsent(body["checksum"]) ? undefined : toText(body["checksum"], "checksum");
  if (location.startsWith("file:")) {
    store.recover(path["c"]!, store.snapshots.local(location), checksum);
    return true;
  }
  if (!/^https?:\/\//.test(location)) throw badRequest("location: expected a file:// or http(s):// URL");
  const key = isAbsent(body["api_key"]) ? undefined : toText(body["api_key"], "api_key");
  return fromFile(call, checksum, async (file) => {
    const answer = await fetch(location, key === undefined ? {} : { headers: { "api-key": key } }).catch(() => undefined);
    if (!answer?.ok || !answer.body)
      throw badRequest(`Failed to download snapshot from ${location}: ${answer?.status ?? "no answer"}`);
    await pipeline(Readable.fromWeb(answer.body), createWriteStream(file, { mode: 0o600 }));
  });
}

/** The file is the part of a form named `snapshot`. */
function upload(call: Call): Promise<boolean> {
  const checksum = call.search.get("checksum") ?? undefined;
  return fromFile(call, checksum, (file) => receive(call, file));
}

async function fromFile(
  { store, path }: Call,
  checksum: string | undefined,
  fetchTo: (file: string) => Promise<void>,
): Promise<boolean> {
  const file = store.snapshots.temporary();
  try {
    await fetchTo(file);
    store.recover(path["c"]!, file, checksum);
    return true;
  } finally {
    rmSync(file, { force: true });
  }
}

async function receive({ request }: Call, file: string): Promise<void> {
  const type = request.headers["content-type"];
  if (!type?.startsWith("multipart/form-data")) throw badFormat("expected a form with a file named `snapshot`");
  const { promise: written, resolve, reject } = Promise.withResolvers<boolean>();
  const cutOff = (): void => reject(new Refusal(400, "Format error: the form was cut off or cannot be read"));
  let writing: Promise<void> | undefined;
  const form = openForm(request.headers, type);
  form.on("file", (name, stream) => {
    if (name !== "snapshot" || writing) return void stream.resume();
    writing = pipeline(stream, createWriteStream(file, { mode: 0o600 }));
    writing.catch(reject);
  });
  form.on("error", cutOff);
  form.on("finish", () => {
    (writing ?? Promise.resolve()).then(() => resolve(writing !== undefined), reject);
  });
  request.on("error", cutOff);
  request.on("aborted", cutOff);
  request.pipe(form);
  if (!(await written)) throw badFormat("the form has no file named `snapshot`");
}

function openForm(headers: IncomingHttpHeaders, type: string) {
  try {
    return new Busboy({ headers: { ...headers, "content-type": type } });
  } catch {
    throw badFormat("expected a form with a file named `snapshot`");
  }
}
