/** `nika gpu offers`: what could be had now, where, at what it would come to. */
import type { Choice } from "../../convex/model/choose.ts";
import type { Client } from "./client.ts";
import { errandOf, euros, hardwareOf, moneyOf } from "./gpu.ts";
import type { OfferFlags } from "./gpuFlags.ts";
import type { Terminal } from "./terminal.ts";
import { oneLine, spanOf, table } from "./text.ts";

const waitMs = 10 * 60_000;
/** As the appliance answers. */
type OffersNow = { readonly choices: readonly Choice[]; readonly says: string; readonly failures: readonly string[] };
type Options = { readonly flags: OfferFlags; readonly json: boolean; readonly signal: AbortSignal };

export async function runGpuOffers(terminal: Terminal, client: Client, { flags, json, signal }: Options): Promise<void> {
  const authorization = `Bearer ${await client.token()}`;
  const found = await client.post<OffersNow>("/nika/gpu/offers", {
    authorization,
    body: errandOf(flags),
    timeoutMs: waitMs,
    signal,
  });
  if (json) return terminal.json(found);
  const { choices, says, failures } = found;
  const now = Date.now();
  const head = ["where", "what", "an hour", "stock", "boot", "none", "taken/h", "in all", "priced"];
  const rows = choices.slice(0, flags.limit).map((choice) => rowOf(choice, now));
  if (rows.length > 0)
    for (const line of table([head, ...rows], { width: terminal.width, give: [1, 0], right: [2, 5, 6, 7] })) terminal.line(line);
  if (choices.length > flags.limit) terminal.line(`And ${choices.length - flags.limit} more; --limit shows them.`);
  terminal.line(oneLine(says));
  for (const failure of failures) terminal.line(oneLine(failure));
}

const percent = (share: number): string => `${Math.round(share * 100)} %`;

function rowOf({ offer, odds, expected }: Choice, now: number): string[] {
  const { provider, type, region, zone, isSpot, hourly, stock, pricedAt, priceSource } = offer;
  return [
    `${provider} ${zone ?? region} ${type}${isSpot ? " spot" : ""}`,
    hardwareOf(offer),
    moneyOf(hourly),
    stock === "unknown" ? "?" : stock,
    // Nobody tells beforehand; it is what was seen there.
    odds.bootMs === undefined ? "?" : spanOf(odds.bootMs),
    percent(odds.noCapacity),
    percent(odds.lostHourly),
    euros(expected.total),
    hourly.micros === 0 ? "" : `${spanOf(now - pricedAt)} ago, ${priceSource}`,
  ];
}
