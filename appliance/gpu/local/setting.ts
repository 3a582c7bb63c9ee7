/** What the owner may say of this machine as one that is let, in DATA/gpu/local.json. Without the file it costs nothing and is what it is. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Money } from "../../../convex/model/gpu.ts";
import { NikaError } from "../../../convex/model/error.ts";
import { toScenario, type Scenario } from "./scenario.ts";

export type LocalSetting = {
  readonly hourly: Money;
  /** How many pieces of work it does at a time. */
  readonly slots: number;
  /** Absent: containers where an engine answers, else processes. */
  readonly backend?: "container" | "process";
  /** Whether containers may reach the network. Processes always can. */
  readonly hasNetwork: boolean;
  /** Made up, and said to be wherever it shows: to try things out without a GPU. */
  readonly simulatedGpu?: { readonly name: string; readonly count: number; readonly memoryMb: number };
  /** Made up as well: what goes wrong elsewhere, tried out here. */
  readonly scenario?: Scenario;
};

const usual: LocalSetting = { hourly: { micros: 0, currency: "EUR" }, slots: 2, hasNetwork: false };

/** Fails with `invalid`, naming what is wrong. Read each time, so that an edit counts at once. */
export function readLocalSetting(dataDir: string): LocalSetting {
  const file = join(dataDir, "gpu", "local.json");
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return usual;
  }
  const wrong = (what: string): never => {
    throw new NikaError("invalid", `${file}: ${what}.`);
  };
  let said: Record<string, unknown>;
  try {
    said = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return wrong("this is not JSON");
  }
  const {
    hourlyMicros = 0,
    currency = "EUR",
    slots = usual.slots,
    backend,
    network = false,
    simulatedGpu,
    scenario,
    ...rest
  } = said;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) wrong(`"${unknown}" means nothing here`);
  if (typeof hourlyMicros !== "number" || !(hourlyMicros >= 0)) wrong("hourlyMicros is a number of millionths, from 0");
  if (currency !== "EUR" && currency !== "USD") wrong("currency is EUR or USD");
  if (typeof slots !== "number" || !Number.isInteger(slots) || slots < 1 || slots > 64) wrong("slots is a number from 1 to 64");
  if (backend !== undefined && backend !== "container" && backend !== "process") wrong('backend is "container" or "process"');
  if (typeof network !== "boolean") wrong("network is true or false");
  const made = simulatedGpu as LocalSetting["simulatedGpu"] & object;
  if (made !== undefined && !(typeof made.name === "string" && made.count >= 1 && made.memoryMb > 0))
    wrong("simulatedGpu has a name, a count and memoryMb");
  const played = scenario === undefined ? undefined : toScenario(scenario);
  if (typeof played === "string") return wrong(played);
  return {
    hourly: { micros: hourlyMicros as number, currency: currency as Money["currency"] },
    slots: slots as number,
    hasNetwork: network as boolean,
    ...(backend !== undefined && { backend: backend as "container" | "process" }),
    ...(made !== undefined && { simulatedGpu: { name: made.name, count: made.count, memoryMb: made.memoryMb } }),
    ...(played && { scenario: played }),
  };
}
