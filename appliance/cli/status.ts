/** `nika status`: what runs, where, and what it holds. */
import { api } from "../../convex/_generated/api.js";
import { vaultAdvice } from "../../convex/model/appliance.ts";
import type { Client } from "./client.ts";
import { findRun } from "./running.ts";
import type { Terminal } from "./terminal.ts";
import { countOf, spanOf } from "./text.ts";
import { NikaError } from "../../convex/model/error.ts";

/** Not running is an answer in JSON and a failure to the shell, so that scripts may use either. */
export async function runStatus(
  terminal: Terminal,
  dataDir: string,
  options: { json: boolean; open: () => Client },
): Promise<void> {
  if (findRun(dataDir) === undefined) {
    if (options.json) terminal.json({ isRunning: false, dataDir });
    throw new NikaError("unavailable", "Nika is not running; start it with `nika up`.");
  }
  const client = options.open();
  const http = await client.http();
  const [appliance, documents, jobs, room, workers] = await Promise.all([
    http.query(api.appliance.status, {}),
    http.query(api.documents.counts, {}),
    http.query(api.jobs.counts, {}),
    http.query(api.appliance.readingRoom, {}),
    http.query(api.workers.list, {}),
  ]);
  const { pid, url, version, startedAt } = client.run;
  if (options.json)
    return terminal.json({ isRunning: true, dataDir, pid, url, version, startedAt, appliance, documents, jobs, room, workers });

  const rows: [string, string][] = [
    ["Nika", `${version}, up for ${spanOf(Date.now() - startedAt)} (pid ${pid})`],
    ["Address", url],
    ["Data", dataDir],
    ["State", partName(appliance?.mode.state)],
    ["Vectors", partName(appliance?.mode.vectors)],
    ["Embedder", appliance?.embedder.label ?? "unknown"],
    ["Documents", documentLine(documents)],
    ["Jobs", `${jobs.ready + jobs.leased} open (${jobs.leased} running), ${jobs.dead} failed for good`],
  ];
  const advice = appliance && vaultAdvice(appliance);
  if (advice) rows.push(["Too many", advice]);
  const joined = workers.filter(({ isJoined }) => isJoined);
  if (joined.length > 0) {
    const shown = joined.map((one) => `${one.name} (${one.isUp ? `${one.about?.host ?? "?"}, ${one.holds} running` : "away"})`);
    rows.push(["Workers", shown.join(", ")]);
  }
  if (room?.pressure) {
    const [cpu, memory, disk, diskUsed] = (["cpu", "memory", "disk", "diskUsed"] as const).map(
      (what) => `${Math.round((room.pressure?.[what] ?? 0) * 100)} %`,
    );
    rows.push([
      "Machine",
      `others use ${cpu} of the processors; memory ${memory} full, disk ${diskUsed}; waits for the disk ${disk}`,
    ]);
  }
  if (room?.because) {
    const why = {
      cpu: "the machine is busy with other things",
      memory: "memory is short",
      disk: "the disk is nearly full, or cannot keep up",
    }[room.because];
    rows.push([
      "Pressure",
      `${why}: ${room.slots} of ${room.slotsMax} files are read at a time, other work is held back in step`,
    ]);
  }
  for (const [name, value] of rows) terminal.line(`${terminal.style("dim", name.padEnd(10))} ${value}`);
}

function partName(mode: string | undefined): string {
  if (mode === undefined) return "unknown";
  return mode === "embedded" ? "embedded, in the same process" : mode === "convex" ? "a Convex backend" : "a Qdrant server";
}

type Counts = { waiting: number; reading: number; ready: number; unreadable: number; forgetting: number; passages: number };

function documentLine(counts: Counts): string {
  const open = counts.waiting + counts.reading;
  return [
    `${counts.ready.toLocaleString("en-US")} ready with ${countOf(counts.passages, "passage")}`,
    open > 0 ? `${open.toLocaleString("en-US")} being read` : "",
    counts.unreadable > 0 ? `${counts.unreadable.toLocaleString("en-US")} unreadable` : "",
    counts.forgetting > 0 ? `${counts.forgetting.toLocaleString("en-US")} being forgotten` : "",
  ]
    .filter((part) => part !== "")
    .join(", ");
}
