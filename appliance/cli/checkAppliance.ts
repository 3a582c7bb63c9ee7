/** The doctor's checks of the running appliance. Each asks through the door that clients use. */
import { api } from "../../convex/_generated/api.js";
import type { Answer } from "../../convex/model/answer.ts";
import { vaultAdvice } from "../../convex/model/appliance.ts";
import type { Config } from "../config.ts";
import { toCliError } from "./exit.ts";
import type { Check } from "./checkHost.ts";
import { openClient, type Client } from "./client.ts";
import { findRun } from "./running.ts";
import { countOf, spanOf } from "./text.ts";

const notRunning = { level: "warn", text: "not looked at: Nika is not running", advice: "Start it with `nika up`." } as const;
const seeLog = ({ dataDir }: Config): string => `See ${dataDir}/log/nika.log; \`nika stop\` and \`nika up\` start it anew.`;

/** Runs `look` against the appliance; a running one that does not answer is the failure to report. */
async function asked(name: string, config: Config, look: (client: Client) => Promise<Omit<Check, "name">>): Promise<Check> {
  if (findRun(config.dataDir) === undefined) return { name, ...notRunning };
  try {
    return { name, ...(await look(openClient(config))) };
  } catch (error) {
    return { name, level: "fail", text: toCliError(error).message, advice: seeLog(config) };
  }
}

/** Health, then a query through the control plane. */
export function engineCheck(config: Config): Promise<Check> {
  return asked("State", config, async (client) => {
    await client.get("/nika/health", { timeoutMs: 5_000 });
    const startedAt = performance.now();
    const http = await client.http();
    const counts = await http.query(api.documents.counts, {});
    return { level: "ok", text: `answers in ${spanOf(performance.now() - startedAt)}, ${counts.ready} documents ready` };
  });
}

/** One question goes the whole way: embedder, vectors, texts. */
export function searchCheck(config: Config): Promise<Check> {
  return asked("Search", config, async (client) => {
    const authorization = `Bearer ${await client.token()}`;
    const { tookMs } = await client.post<Answer>("/nika/ask", { authorization, body: { question: "Is Nika well?", limit: 1 } });
    return { level: "ok", text: `answers in ${spanOf(tookMs)}` };
  });
}

/** Where the passages are, and whether there are too many of them for that. */
export function vectorsCheck(config: Config): Promise<Check> {
  return asked("Vectors", config, async (client) => {
    const status = await (await client.http()).query(api.appliance.status, {});
    if (!status) return { level: "fail", text: "unknown: the appliance has not reported itself", advice: seeLog(config) };
    const text = `${countOf(status.passages, "passage")} in ${status.mode.vectors === "embedded" ? "the embedded store" : "a Qdrant"}`;
    const advice = vaultAdvice(status);
    return advice === undefined ? { level: "ok", text } : { level: "warn", text, advice };
  });
}

export function embedderCheck(config: Config): Promise<Check> {
  return asked("Embedder", config, async (client) => {
    const http = await client.http();
    const status = await http.query(api.appliance.status, {});
    if (!status) return { level: "fail", text: "unknown: the appliance has not reported itself", advice: seeLog(config) };
    const text = status.embedder.label;
    if (!status.embedder.isBaseline) return { level: "ok", text };
    return {
      level: "ok",
      text,
      advice: "For search by meaning put a model's files into NIKA_MODELS, or set NIKA_MODEL_DOWNLOAD=1 and start anew.",
    };
  });
}
