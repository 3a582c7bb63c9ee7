import { v, type Infer } from "convex/values";
import { vProviderId } from "./gpu.ts";

/**
 * Every kind of work Nika can do, with what it takes: the contract between who enqueues and who does. A kind is a wire name, and
 * the path of its function: `documents.ingest` lives in `functions/documents/ingest.ts`. Add or alias, never rename.
 */
export const kinds = {
  /** Does nothing: shows that work is taken, and how fast. */
  "jobs.check": v.object({ n: v.number() }),
  "documents.ingest": v.object({ documentId: v.id("documents") }),
  "documents.forget": v.object({ documentId: v.id("documents") }),
  "documents.clear": v.object({ documentId: v.id("documents") }),
  /** Embeds those pictures of a document that nobody could look at when it was read. */
  "documents.look": v.object({ documentId: v.id("documents") }),
  "documents.label": v.object({ documentIds: v.array(v.id("documents")) }),
  "batches.decide": v.object({ batchId: v.id("batches") }),
  "themes.find": v.object({}),
  /** Trains an embedding on how searches were used, and judges it. */
  "models.train": v.object({ modelId: v.id("models") }),
  /** The same beside a base, as a job of a machine that has what it takes. */
  "models.tune": v.object({ modelId: v.id("models") }),
  /** Puts models beside each other on today's questions. */
  "models.compare": v.object({ comparisonId: v.id("comparisons") }),
  /** Moves the vault to another model, beside the one in force. */
  "models.deploy": v.object({ generationId: v.id("generations") }),
  /** Has the vault's public name follow, after searches went back to the last model. */
  "models.rollback": v.object({}),
  /** Drops vectors that nobody asks any more. */
  "models.drop": v.object({ generationId: v.id("generations") }),
  /** A function that the owner wrote. */
  "functions.invoke": v.object({ invocationId: v.id("invocations") }),
  /** Fetches, verifies and declares an MCP server. */
  "servers.install": v.object({ installId: v.id("installs") }),
  /** Copies what is new in a registry of MCP servers. */
  "servers.mirror": v.object({ registry: v.string() }),
  /** Goes on with a run from where it is. */
  "runs.advance": v.object({ runId: v.id("runs") }),
  /** Finds a machine for a job, and writes it down. */
  "machines.place": v.object({ gpuJobId: v.id("gpuJobs") }),
  "machines.create": v.object({ machineId: v.id("machines") }),
  "machines.end": v.object({ machineId: v.id("machines") }),
  /** Looks at those of a provider's machines that are to be looked at. */
  "machines.look": v.object({ provider: vProviderId }),
  /** Looks through a provider's whole account, and at how we stand with it. */
  "machines.sweep": v.object({ provider: vProviderId }),
  /** Holds a vendor's bill against what is known to have been spent there. */
  "machines.bill": v.object({ provider: vProviderId }),
  /** Looks whether machines are to be rented for what waits, or let go. */
  "machines.scale": v.object({}),
  "schedules.plan": v.object({ scheduleIds: v.array(v.id("schedules")) }),
  /** `text`: all there is to do is to say this. */
  "schedules.run": v.object({ occurrenceId: v.id("occurrences"), text: v.optional(v.string()) }),
} as const;

export type JobKind = keyof typeof kinds;
export type JobArgs<K extends JobKind> = Infer<(typeof kinds)[K]>;

/** A job's kind and arguments as they are stored; the pair was checked when it was enqueued. */
export const vKind = v.union(
  v.literal("documents.ingest"),
  v.literal("documents.forget"),
  v.literal("documents.clear"),
  v.literal("documents.label"),
  v.literal("documents.look"),
  v.literal("batches.decide"),
  v.literal("themes.find"),
  v.literal("models.train"),
  v.literal("models.tune"),
  v.literal("models.compare"),
  v.literal("models.deploy"),
  v.literal("models.rollback"),
  v.literal("models.drop"),
  v.literal("functions.invoke"),
  v.literal("servers.install"),
  v.literal("servers.mirror"),
  v.literal("runs.advance"),
  v.literal("machines.place"),
  v.literal("machines.create"),
  v.literal("machines.end"),
  v.literal("machines.look"),
  v.literal("machines.sweep"),
  v.literal("machines.bill"),
  v.literal("machines.scale"),
  v.literal("schedules.plan"),
  v.literal("schedules.run"),
  v.literal("jobs.check"),
);
export const vArgs = v.union(...Object.values(kinds));

/** Jobs of a lower rank go first: what somebody just asked for is not kept waiting by a thousand files. */
export const ranks: Record<JobKind, number> = {
  "documents.forget": 0,
  "documents.clear": 0,
  "documents.label": 0,
  "batches.decide": 0,
  "themes.find": 1,
  "models.train": 2,
  "models.tune": 2,
  "models.compare": 2,
  "models.deploy": 2,
  "models.rollback": 0,
  "models.drop": 1,
  "servers.install": 0,
  "servers.mirror": 2,
  "runs.advance": 0,
  "schedules.run": 0,
  // What costs money goes before what would cost more.
  "machines.end": 0,
  "machines.look": 0,
  "machines.sweep": 0,
  "machines.create": 1,
  "machines.bill": 2,
  "machines.scale": 1,
  "machines.place": 1,
  "functions.invoke": 0,
  "jobs.check": 0,
  "schedules.plan": 1,
  "documents.ingest": 1,
  "documents.look": 1,
};

/** Half done these would leave the vault saying something that the documents do not; they cannot be stopped. */
const unstoppable = new Set<JobKind>([
  "documents.forget",
  "documents.clear",
  "documents.label",
  "batches.decide",
  "schedules.plan",
  "models.rollback",
  "models.drop",
]);
export const isStoppable = (kind: JobKind): boolean => !unstoppable.has(kind);
