/** `nika watch`: folders of this machine that are followed. */
import { realpath } from "node:fs/promises";
import { resolve } from "node:path";
import { api } from "../../convex/_generated/api.js";
import { NikaError } from "../../convex/model/error.ts";
import type { WatchView } from "../../convex/model/watch.ts";
import type { Client } from "./client.ts";
import type { Terminal } from "./terminal.ts";
import { countOf, oneLine, spanOf, table } from "./text.ts";

export type WatchAddOptions = { readonly mirror: boolean; readonly review: boolean | undefined; readonly json: boolean };

export async function runWatchAdd(
  terminal: Terminal,
  client: Client,
  folder: string,
  { mirror, review, json }: WatchAddOptions,
): Promise<void> {
  const path = await realpath(folder);
  const http = await client.http();
  const id = await http.mutation(api.watches.add, {
    path,
    mode: mirror ? "mirror" : "keep",
    ...(review !== undefined && { isReviewed: review }),
  });
  if (json) return terminal.json({ id, path });
  terminal.line(`Watching ${oneLine(path)}: what changes there is read again.`);
  terminal.line(
    mirror ? "Files deleted there are forgotten." : "Files deleted there are kept in Nika; --mirror would forget them.",
  );
}

export async function runWatchList(terminal: Terminal, client: Client, { json }: { json: boolean }): Promise<void> {
  const watches = await (await client.http()).query(api.watches.list, {});
  if (json) return terminal.json(watches);
  if (watches.length === 0) return terminal.line("No folder is watched; `nika watch add FOLDER` does.");
  const rows = watches.map((watch) => [watch.isPaused ? "paused" : "on", watch.mode, oneLine(watch.path), reportOf(watch)]);
  for (const line of table(rows, { width: terminal.width, give: [3, 2] })) terminal.line(line);
}

export type WatchVerb = "remove" | "pause" | "resume";

export async function runWatchVerb(
  terminal: Terminal,
  client: Client,
  verb: WatchVerb,
  { folder, json }: { folder: string; json: boolean },
): Promise<void> {
  const http = await client.http();
  const path = resolve(folder);
  const real = await realpath(folder).catch(() => path);
  const watches = await http.query(api.watches.list, {});
  const watch = watches.find((one) => one.path === real || one.path === path || one.id === folder);
  if (!watch) throw new NikaError("missing", `${oneLine(path)} is not watched; \`nika watch list\` shows what is.`);
  if (verb === "remove") await http.mutation(api.watches.remove, { id: watch.id });
  else await http.mutation(api.watches.pause, { id: watch.id, isPaused: verb === "pause" });
  if (json) return terminal.json({ id: watch.id, path: watch.path });
  const said = {
    remove: "is not watched any more; its documents stay",
    pause: "is not looked at until you resume it",
    resume: "is watched again",
  };
  terminal.line(`${oneLine(watch.path)} ${said[verb]}.`);
}

function reportOf({ report, isReviewed }: WatchView): string {
  const review = isReviewed ? ["reviewed"] : [];
  if (!report) return [...review, "not looked at yet"].join(", ");
  const looked = `${countOf(report.files, "file")}, ${spanOf(Date.now() - report.at)} ago`;
  return [...review, report.problem === undefined ? looked : oneLine(report.problem)].join(", ");
}
