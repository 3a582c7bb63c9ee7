/** `nika gpu show`: one piece of work, looked at closely. */
import { api } from "../../convex/_generated/api.js";
import type { Offer } from "../../convex/model/gpu.ts";
import { costSoFar, jobCostSoFar, type Attempt, type GpuJobDetail } from "../../convex/model/gpuDetail.ts";
import { isJobOver } from "../../convex/model/gpuJob.ts";
import { machineText } from "../../convex/model/machineWords.ts";
import type { Client } from "./client.ts";
import { euros, hardwareOf, moneyOf, noSuchJob, simulatedOf, stateWords } from "./gpu.ts";
import type { Terminal } from "./terminal.ts";
import { oneLine, sizeOf, spanOf, table } from "./text.ts";

export async function runGpuShow(
  terminal: Terminal,
  client: Client,
  { job, json, now = Date.now() }: { readonly job: string; readonly json: boolean; readonly now?: number },
): Promise<void> {
  const detail = await (await client.http()).query(api.gpuDetails.job, { id: job });
  if (!detail) throw noSuchJob();
  if (json) return terminal.json(detail);
  const { view, attempts, results } = detail;
  terminal.line(`${oneLine(view.label)}: ${stateWords[view.state]}`);
  if (view.problem && view.state !== "succeeded") terminal.line(oneLine(view.problem.message));
  const facts = [
    ["runs", oneLine(detail.command.join(" "))],
    [view.offer && attempts.at(-1)?.endedAt !== undefined ? "was on" : "on", view.offer ? placeOf(view.offer) : "no machine yet"],
    ["since", sinceOf(detail, now)],
    ["costs", costOf(detail, now)],
    ["checkpoints", checkpointsOf(detail, now)],
  ];
  for (const line of table(facts, { width: terminal.width, give: [1] })) terminal.line(line);
  if (attempts.length > 0) {
    terminal.line("");
    terminal.line(attempts.length === 1 ? "Its machine:" : "Its machines:");
    const rows = attempts.map((one) => attemptRow(one, now));
    for (const line of table(rows, { width: terminal.width, give: [2, 1] })) terminal.line(line);
  }
  if (results.length === 0) return;
  terminal.line("");
  terminal.line(`Its results, for \`nika gpu fetch ${job} --out FOLDER\`:`);
  const rows = results.map(({ path, sizeBytes, sha256 }) => [path, sizeOf(sizeBytes), sha256.slice(0, 12)]);
  for (const line of table(rows, { width: terminal.width, give: [0] })) terminal.line(line);
  if (view.files > results.length) terminal.line(`and ${view.files - results.length} more.`);
}

const placeOf = (offer: Offer): string => `${offer.provider}: ${offer.type}, ${hardwareOf(offer)}${simulatedOf(offer)}`;

function sinceOf({ view: { createdAt, startedAt, endedAt, state } }: GpuJobDetail, now: number): string {
  if (startedAt === undefined) return `asked for ${spanOf(now - createdAt)} ago`;
  if (endedAt !== undefined) return `over for ${spanOf(now - endedAt)}, after ${spanOf(endedAt - startedAt)}`;
  return `${state === "running" ? "running" : "begun"} for ${spanOf(now - startedAt)}`;
}

function costOf(detail: GpuJobDetail, now: number): string {
  const { view, costMax } = detail;
  const { spent, reserved, offer, state } = view;
  const most = isJobOver(state) && reserved === 0 ? "" : ` so far, at most ${euros(spent + reserved)}`;
  const cap = costMax ? `, may cost ${moneyOf(costMax)}` : "";
  return `${euros(jobCostSoFar(detail, now))}${most}${cap}${offer && offer.hourly.micros > 0 ? ` (${moneyOf(offer.hourly)} an hour)` : ""}`;
}

function checkpointsOf({ checkpoints: [newest] }: GpuJobDetail, now: number): string {
  return newest ? `the newest ${spanOf(now - newest.at)} old, of machine ${newest.attempt}` : "none";
}

function attemptRow(one: Attempt, now: number): string[] {
  const { attempt, offer, state, why, startedAt, endedAt, createdAt } = one;
  const lived = startedAt === undefined ? "never there" : spanOf((endedAt ?? now) - createdAt);
  return [
    String(attempt),
    `${offer.provider} ${offer.type}${simulatedOf(offer)}`,
    machineText(state, why),
    lived,
    euros(costSoFar(one, now)),
  ];
}
