/* Written by scripts/codegen.ts. Do not edit: change the functions and run `npm run codegen`. */
import type { ApiFromModules, FilterApi, FunctionReference } from "convex/server";
import type * as appliance from "../appliance.ts";
import type * as batches from "../batches.ts";
import type * as bridge from "../bridge.ts";
import type * as credentials from "../credentials.ts";
import type * as crons from "../crons.ts";
import type * as documents from "../documents.ts";
import type * as effects from "../effects.ts";
import type * as events from "../events.ts";
import type * as functions from "../functions.ts";
import type * as jobs from "../jobs.ts";
import type * as joined from "../joined.ts";
import type * as occurrences from "../occurrences.ts";
import type * as pictures from "../pictures.ts";
import type * as runs from "../runs.ts";
import type * as schedules from "../schedules.ts";
import type * as servers from "../servers.ts";
import type * as settings from "../settings.ts";
import type * as signals from "../signals.ts";
import type * as sources from "../sources.ts";
import type * as telegram from "../telegram.ts";
import type * as themes from "../themes.ts";
import type * as upkeep from "../upkeep.ts";
import type * as watches from "../watches.ts";
import type * as workers from "../workers.ts";

declare const fullApi: ApiFromModules<{
  appliance: typeof appliance;
  batches: typeof batches;
  bridge: typeof bridge;
  credentials: typeof credentials;
  crons: typeof crons;
  documents: typeof documents;
  effects: typeof effects;
  events: typeof events;
  functions: typeof functions;
  jobs: typeof jobs;
  joined: typeof joined;
  occurrences: typeof occurrences;
  pictures: typeof pictures;
  runs: typeof runs;
  schedules: typeof schedules;
  servers: typeof servers;
  settings: typeof settings;
  signals: typeof signals;
  sources: typeof sources;
  telegram: typeof telegram;
  themes: typeof themes;
  upkeep: typeof upkeep;
  watches: typeof watches;
  workers: typeof workers;
}>;
/** What the owner may call. */
export declare const api: FilterApi<typeof fullApi, FunctionReference<any, "public">>;
/** What only Nika itself may call. */
export declare const internal: FilterApi<typeof fullApi, FunctionReference<any, "internal">>;
