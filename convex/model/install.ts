/** Installing a server: what the owner wishes, how far it is, and what came of it. */
import { v, type Infer } from "convex/values";
import type { Entry, Input } from "./entry.ts";
import { vFailure } from "./job.ts";
import type { Warning } from "./lookalike.ts";

/** In their order. */
export const installSteps = ["look", "fetch", "verify", "try", "place", "done"] as const;
export const vInstallStep = v.union(
  v.literal("look"),
  v.literal("fetch"),
  v.literal("verify"),
  v.literal("try"),
  v.literal("place"),
  v.literal("done"),
);
export type InstallStep = Infer<typeof vInstallStep>;

export const vInstallWish = v.object({
  /** As a registry has it, or `npm:NAME`, `pypi:NAME`. */
  name: v.string(),
  version: v.optional(v.string()),
  registry: v.optional(v.string()),
  /** What it is called here. */
  alias: v.optional(v.string()),
  offer: v.optional(v.union(v.literal("package"), v.literal("remote"))),
  values: v.record(v.string(), v.string()),
  /** Beyond what its registry says: arguments, variables, and variables whose values are secrets. */
  args: v.array(v.string()),
  env: v.record(v.string(), v.string()),
  secrets: v.array(v.string()),
  egress: v.array(v.string()),
  mounts: v.array(v.string()),
  /** Size of a folder it may write to and find again, such as "64Mi". */
  storage: v.optional(v.string()),
  /** The owner was told what speaks against it. */
  despiteWarnings: v.boolean(),
});
export type InstallWish = Infer<typeof vInstallWish>;

export const vInstallResult = v.object({
  alias: v.string(),
  name: v.string(),
  version: v.string(),
  /** What it was before; absent for a new one. */
  before: v.optional(v.string()),
  tools: v.number(),
  /** Tools and prompts that wait for the owner's word, and how many of them have marks on them. */
  waiting: v.number(),
  marked: v.number(),
  /** Secrets it needs that are not kept yet. */
  secrets: v.array(v.string()),
  /** Hosts its code names and that it may not reach. */
  hosts: v.array(v.string()),
  /** What an owner should know, a sentence each. */
  notes: v.array(v.string()),
});
export type InstallResult = Infer<typeof vInstallResult>;

export const vInstallView = v.object({
  id: v.id("installs"),
  name: v.string(),
  version: v.optional(v.string()),
  alias: v.optional(v.string()),
  state: v.union(v.literal("waiting"), v.literal("working"), v.literal("done"), v.literal("failed"), v.literal("stopped")),
  step: vInstallStep,
  /** What is being done, in a few words. */
  note: v.optional(v.string()),
  problem: v.optional(vFailure),
  result: v.optional(vInstallResult),
  at: v.number(),
  jobId: v.id("jobs"),
});
export type InstallView = Infer<typeof vInstallView>;

/** A server as a list shows it. */
export type FoundServer = Pick<Entry, "name" | "title" | "description" | "version" | "status" | "repository" | "website"> & {
  readonly source: string;
  /** How it would be had; absent when Nika cannot have it. */
  readonly offer?: string;
  /** What it is called here, when it is installed. */
  readonly alias?: string;
};

/** What a search in registries gives. */
export type FoundServers = {
  readonly servers: readonly FoundServer[];
  /** Registries that did not answer, and why; the others' answers stand all the same. */
  readonly problems: readonly { readonly source: string; readonly message: string }[];
  readonly asked: readonly string[];
  /** Nobody was ever asked before: the official registry was turned on for it. */
  readonly isFirst: boolean;
};

/** What is known of a server before anything of it is fetched. */
export type ServerInfo = {
  readonly source: string;
  readonly entry: Entry;
  readonly alias: string;
  readonly offer: { readonly type: "package" | "remote"; readonly what: string; readonly version: string };
  readonly inputs: readonly (Input & { readonly secretName?: string })[];
  readonly warnings: readonly Warning[];
  readonly publisher?: string;
  readonly signature?: "verified" | "absent" | "notOffered";
  readonly hasProvenance?: boolean;
  /** In milliseconds since 1970. */
  readonly publishedAt?: number;
  /** The version that is installed here. */
  readonly installed?: string;
};

/** Older ones are forgotten. */
export const installsKept = 20;
