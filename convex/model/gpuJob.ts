/** Work for a rented machine, as values: what was asked, what became of it, and what becomes of it next. Pure; callers pass `now`. */
import { v, type Infer } from "convex/values";
import { vMoney, vNeed, vOffer } from "./gpu.ts";
import { vEndReason, type EndReason, type Settable } from "./machine.ts";

/** queued → placing → provisioning → staging → running → uploading → succeeded; and the other ends. */
export const vGpuJobState = v.union(
  v.literal("queued"),
  v.literal("parked"),
  v.literal("placing"),
  v.literal("provisioning"),
  v.literal("staging"),
  v.literal("running"),
  v.literal("uploading"),
  v.literal("succeeded"),
  v.literal("failed"),
  v.literal("cancelled"),
  v.literal("timedOut"),
  v.literal("budgetStopped"),
  v.literal("deadlineMissed"),
);
export type GpuJobState = Infer<typeof vGpuJobState>;
const ends: ReadonlySet<GpuJobState> = new Set([
  "succeeded",
  "failed",
  "cancelled",
  "timedOut",
  "budgetStopped",
  "deadlineMissed",
]);
export const isJobOver = (state: GpuJobState): boolean => ends.has(state);
const onMachine: ReadonlySet<GpuJobState> = new Set(["provisioning", "staging", "running", "uploading"]);
export const isOnMachine = (state: GpuJobState): boolean => onMachine.has(state);

/** What is to be run. Written once. */
export const vGpuAsk = v.object({
  label: v.string(),
  /** Names the work: asked again under an open or succeeded key, that job is meant. */
  key: v.optional(v.string()),
  /** An archive (tar), unpacked where the command runs. */
  payload: v.optional(v.object({ storageId: v.id("_storage"), sha256: v.string(), sizeBytes: v.number() })),
  command: v.array(v.string()),
  image: v.optional(v.string()),
  environment: v.optional(v.record(v.string(), v.string())),
  need: vNeed,
  /** From its first line to its last; then it is stopped. */
  runMsMax: v.number(),
  /** All its machines together. */
  costMax: v.optional(vMoney),
  /** It is of no use later. */
  deadlineAt: v.optional(v.number()),
  /** Providers it may go to; any that is set up when absent. */
  providers: v.optional(v.array(v.string())),
});
export type GpuAsk = Infer<typeof vGpuAsk>;

/** What went wrong, in words of English and as what a page says in its own: `count` is an exit code or a number of machines, `why` of the last one. */
export const vGpuProblem = v.object({
  code: v.string(),
  message: v.string(),
  what: v.optional(
    v.union(
      v.literal("noMachine"),
      v.literal("capped"),
      v.literal("stopped"),
      v.literal("late"),
      v.literal("exited"),
      v.literal("cancelled"),
      v.literal("ranTooLong"),
      v.literal("resultsLost"),
      v.literal("tooDear"),
      v.literal("machineTime"),
      v.literal("machinesLost"),
    ),
  ),
  count: v.optional(v.number()),
  why: v.optional(vEndReason),
});
export type GpuProblem = Infer<typeof vGpuProblem>;
type What = GpuProblem["what"] & string;

export const vGpuJobLife = v.object({
  state: vGpuJobState,
  /** Its machines so far, and the fence: what reports under another number is not heard. */
  attempt: v.number(),
  /** Machines that failed it. Being preempted costs none. */
  losses: v.number(),
  /** What is to be looked at again then: it is parked until, or has run too long. */
  dueAt: v.optional(v.number()),
  startedAt: v.optional(v.number()),
  endedAt: v.optional(v.number()),
  exit: v.optional(v.number()),
  problem: v.optional(vGpuProblem),
});
export type GpuJobLife = Settable<Infer<typeof vGpuJobLife>>;

export type GpuJobTerms = { readonly runMsMax: number; readonly deadlineAt?: number | undefined };
export type GpuJobEvent =
  | { readonly type: "place" }
  /** No machine is to be had, or none may be paid now. */
  | { readonly type: "park"; readonly until: number; readonly says: string; readonly what?: What }
  | { readonly type: "refuse"; readonly state: "failed" | "budgetStopped"; readonly says: string; readonly what: What }
  /** A machine is written down for it. */
  | { readonly type: "intended" }
  | { readonly type: "enrolled" }
  | { readonly type: "started" }
  | { readonly type: "exited"; readonly exit: number }
  /** Its results are here, and each is what its hash says. */
  | { readonly type: "uploaded" }
  | { readonly type: "machineOver"; readonly why: EndReason }
  | { readonly type: "cancel" }
  | { readonly type: "time" };

/** Machines that may fail it before it is taken to be what fails them. */
export const lossesMax = 3;
/** From its intent to its first sign of life, and from the end of the work to the end of the machine. */
export const bootAllowanceMs = 15 * 60_000;
export const teardownAllowanceMs = 10 * 60_000;

export const queued = (now: number): GpuJobLife => ({ state: "queued", attempt: 0, losses: 0, dueAt: now });

/** What becomes of it. Events that mean nothing in its state change nothing. */
export function stepJob(life: GpuJobLife, terms: GpuJobTerms, event: GpuJobEvent, now: number): GpuJobLife {
  if (isJobOver(life.state)) return life;
  const next = advance(life, terms, event, now);
  if (isJobOver(next.state) || terms.deadlineAt === undefined || now < terms.deadlineAt) return next;
  return ended(next, "deadlineMissed", { what: "late", message: "It was not done when it had to be." }, now);
}

function advance(life: GpuJobLife, { runMsMax }: GpuJobTerms, event: GpuJobEvent, now: number): GpuJobLife {
  const { state } = life;
  switch (event.type) {
    case "place":
      return state === "queued" ? { ...life, state: "placing", dueAt: now + placingMs } : life;
    case "park":
      return state === "placing" || state === "queued"
        ? {
            ...life,
            state: "parked",
            dueAt: event.until,
            problem: { code: "unavailable", message: event.says, what: event.what ?? "noMachine" },
          }
        : life;
    case "refuse":
      return isOnMachine(state) ? life : ended(life, event.state, { what: event.what, message: event.says }, now);
    case "intended":
      return state === "placing"
        ? { ...life, state: "provisioning", attempt: life.attempt + 1, dueAt: undefined, problem: undefined }
        : life;
    case "enrolled":
      return state === "provisioning" ? { ...life, state: "staging" } : life;
    case "started":
      return state === "provisioning" || state === "staging"
        ? { ...life, state: "running", startedAt: now, dueAt: now + runMsMax }
        : life;
    case "exited":
      return isOnMachine(state) && state !== "provisioning"
        ? { ...life, state: "uploading", exit: event.exit, dueAt: now + teardownAllowanceMs }
        : life;
    case "uploaded":
      if (state !== "uploading") return life;
      return life.exit === 0
        ? { ...life, state: "succeeded", endedAt: now, dueAt: undefined }
        : ended(
            life,
            "failed",
            { what: "exited", count: life.exit, message: `Its command ended with ${life.exit}; the end of its output says why.` },
            now,
          );
    case "machineOver":
      return isOnMachine(state) ? lost(life, event.why, now) : life;
    case "cancel":
      return ended(life, "cancelled", { what: "cancelled", message: "It was cancelled." }, now);
    case "time":
      return timed(life, now);
  }
}

/** Whoever places it and does not come back is taken to be gone. */
const placingMs = 2 * 60_000;

function timed(life: GpuJobLife, now: number): GpuJobLife {
  if (life.dueAt === undefined || now < life.dueAt) return life;
  if (life.state === "parked" || life.state === "placing") return requeued(life, now);
  if (life.state === "running")
    return ended(life, "timedOut", { what: "ranTooLong", message: "It ran for as long as it may, and was stopped." }, now);
  if (life.state === "uploading")
    return ended(life, "failed", { what: "resultsLost", message: "Its results did not arrive." }, now);
  return life;
}

function lost(life: GpuJobLife, why: EndReason, now: number): GpuJobLife {
  switch (why) {
    case "preempted":
    case "createFailed":
    case "neverMade":
      // No fault of its own: where capacity is short, placing parks it.
      return requeued(life, now);
    case "cancelled":
    case "panic":
      return ended(life, "cancelled", { what: "cancelled", message: "It was cancelled." }, now);
    case "budget":
      return ended(life, "budgetStopped", { what: "tooDear", message: "Going on would have cost more than it may." }, now);
    case "deadline":
      return ended(life, "timedOut", { what: "machineTime", message: "Its machine's time was up before it was done." }, now);
    case "finished":
    case "failed":
    case "bootTimeout":
    case "unfit":
    case "silent":
    case "idle":
    case "disappeared":
    case "stopped":
    case "twin":
    case "stray":
    case "reappeared": {
      const losses = life.losses + 1;
      if (losses < lossesMax) return requeued({ ...life, losses }, now);
      const message = `${losses} machines were lost under it (the last one: ${why}).`;
      return ended({ ...life, losses }, "failed", { what: "machinesLost", count: losses, why, message }, now);
    }
  }
}

function requeued(life: GpuJobLife, now: number): GpuJobLife {
  const { startedAt: _startedAt, exit: _exit, ...kept } = life;
  return { ...kept, state: "queued", dueAt: now };
}

const codeOf = {
  failed: "invalid",
  cancelled: "cancelled",
  timedOut: "timeout",
  budgetStopped: "full",
  deadlineMissed: "timeout",
};

function ended(
  life: GpuJobLife,
  state: "failed" | "cancelled" | "timedOut" | "budgetStopped" | "deadlineMissed",
  { what, message, count, why }: Settable<Omit<GpuProblem, "code">>,
  now: number,
): GpuJobLife {
  const problem = {
    code: codeOf[state],
    message,
    ...(what && { what }),
    ...(count !== undefined && { count }),
    ...(why && { why }),
  };
  return { ...life, state, endedAt: now, dueAt: undefined, problem };
}

/** A file that came of it. `path` is below its results' folder; those of an older attempt than the official one count for nothing. */
export const vGpuFile = v.object({ path: v.string(), sha256: v.string(), sizeBytes: v.number(), storageId: v.id("_storage") });
export type GpuFile = Infer<typeof vGpuFile>;

export const vGpuJobView = v.object({
  id: v.id("gpuJobs"),
  label: v.string(),
  by: v.string(),
  state: vGpuJobState,
  attempt: v.number(),
  createdAt: v.number(),
  startedAt: v.optional(v.number()),
  endedAt: v.optional(v.number()),
  exit: v.optional(v.number()),
  problem: v.optional(vGpuProblem),
  /** When it is placed again. */
  parkedUntil: v.optional(v.number()),
  machineId: v.optional(v.id("machines")),
  /** Of what runs, or ran last. */
  offer: v.optional(vOffer),
  /** By machines that are gone, and set aside for those that are not; micro-EUR at the owner's rate. */
  spent: v.number(),
  reserved: v.number(),
  logBytes: v.number(),
  files: v.number(),
});
export type GpuJobView = Infer<typeof vGpuJobView>;

/** What a person or an agent is told before anything is spent; its id is what `run` takes, for ten minutes. */
export const vQuoteView = v.object({
  id: v.id("gpuQuotes"),
  offer: vOffer,
  /** Should it run as long as it may, with starting and ending. No more can be spent on its first machine. */
  atMost: vMoney,
  until: v.number(),
  /** Why this one, and what else there was. */
  says: v.string(),
  others: v.array(vOffer),
});
export type QuoteView = Infer<typeof vQuoteView>;
export const quoteMs = 10 * 60_000;

/** Jobs that ended are kept for a month, with their files and output, but no more than the newest 500; then all of it goes. */
export const gpuJobsKeptMs = 30 * 24 * 3_600_000;
export const gpuJobsKeptMax = 500;
export const quotesKeptMs = 24 * 3_600_000;
/** Sums by day and month: longer than a year can be looked back on. */
export const totalsKeptMs = 400 * 24 * 3_600_000;
