import { defineTable } from "convex/server";
import { v } from "convex/values";
import { vInstallResult, vInstallStep, vInstallWish } from "../model/install.ts";
import { vRegistrySetting } from "../model/registry.ts";
import { vLedgerHead, vServerFacts, vToolCall } from "../model/serverView.ts";

/** MCP servers, and where they come from. */
export const serversTables = {
  // MCP servers as they stand: a picture drawn by the appliance through servers.ts, whose files are the truth. Gone with the server.
  servers: defineTable(vServerFacts).index("by_name", ["name"]),

  // The latest calls of their tools, for the page; all of them stand in the log. Written by servers.ts alone, which drops the oldest.
  toolCalls: defineTable(vToolCall).index("by_seq", ["seq"]).index("by_server", ["server", "seq"]),

  // At most one row: how far that log reaches, so that a missing end is noticed. Written with the calls.
  ledgers: defineTable(vLedgerHead),

  // Registries of servers as the owner set them; a built-in one he never touched has no row. Written by registries.ts alone.
  registries: defineTable({
    ...vRegistrySetting.fields,
    copiedAt: v.optional(v.number()),
    servers: v.optional(v.number()),
    problem: v.optional(v.string()),
  }).index("by_name", ["name"]),

  // Servers being installed, and the last that were. Written by installs.ts alone, which drops the oldest.
  installs: defineTable({
    wish: vInstallWish,
    step: vInstallStep,
    note: v.optional(v.string()),
    result: v.optional(vInstallResult),
    at: v.number(),
    jobId: v.optional(v.id("jobs")),
  }),

  // Who else than the owner may use the tools of all servers. Only hashes of secrets; deleted when they are revoked.
  serverTokens: defineTable({ name: v.string(), hash: v.string(), createdAt: v.number() }),
};
