/** Rented machines looked through and ended without the appliance: it may be down, and its database lost. */
import type { Config } from "../config.ts";
import { panicAlone, sweepAlone } from "../gpuAlone.ts";
import { NikaError } from "../../convex/model/error.ts";
import { confirmed } from "./confirm.ts";
import { tellSwept } from "./gpu.ts";
import type { Terminal } from "./terminal.ts";
import { oneLine } from "./text.ts";

type SweepFlags = { readonly end: boolean; readonly json: boolean; readonly signal: AbortSignal };

export async function runSweepAlone(terminal: Terminal, config: Config, { end, json, signal }: SweepFlags): Promise<void> {
  const swept = await sweepAlone(config, { ends: end, signal });
  if (json) terminal.json(swept);
  else tellSwept(terminal, swept);
}

type PanicFlags = { readonly yes: boolean; readonly signal: AbortSignal };

export async function runPanicAlone(terminal: Terminal, config: Config, { yes, signal }: PanicFlags): Promise<void> {
  const question = {
    text: "End everything at all providers that carries the mark of this install?",
    otherwise: "Say --yes to end all machines.",
    signal,
  };
  if (!yes && !(await confirmed(terminal, question))) return;
  const { ended, left } = await panicAlone(config, signal);
  for (const { provider, observed, says } of ended)
    terminal.line(`${provider}  ${observed.name}  ${says === undefined ? "ended" : oneLine(says)}`);
  for (const { provider, says } of left) terminal.line(`${provider} was not seen empty: ${oneLine(says)}`);
  if (left.length > 0)
    throw new NikaError("unavailable", "Something may still cost money; say it again, or look at the vendor's own console.");
  terminal.line(`${ended.length} ended. All accounts were seen twice without anything of ours.`);
}
