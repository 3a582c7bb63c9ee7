import { defineTable } from "convex/server";
import { v } from "convex/values";
import { vMessageCounts, vMessageState, vTokenRole, vUpdateType } from "../model/bridge.ts";
import { vPostState } from "../model/telegram.ts";

/** Messages to remote agents, and the chat that mirrors them. */
export const bridgeTables = {
  // Remote agents that take messages, one queue each. Counts, `seq` and `lastAt` change with every message and update of that target, in
  // turn/bridge.ts alone: two sends at once to one target therefore happen one after the other.
  bridgeTargets: defineTable({
    name: v.string(),
    counts: vMessageCounts,
    /** How many are kept. */
    updates: v.number(),
    /** Of its latest update. */
    seq: v.number(),
    lastAt: v.number(),
    /** When its agent last said something. */
    heardAt: v.optional(v.number()),
    createdAt: v.number(),
  }).index("by_name", ["name"]),

  // What was sent to them. Written by turn/bridge.ts; deleted by upkeep a month after they ended, or with their target.
  bridgeMessages: defineTable({
    target: v.string(),
    text: v.string(),
    /** Of target and text, for as long as it has not ended: the same is not queued twice. */
    openHash: v.optional(v.string()),
    state: vMessageState,
    /** 0 is urgent and goes first, 1 is not. */
    lane: v.union(v.literal(0), v.literal(1)),
    from: v.string(),
    /** Sent once only, whatever became of it: the time of a schedule that it was sent for. */
    onceKey: v.optional(v.string()),
    replyTo: v.optional(v.id("bridgeMessages")),
    createdAt: v.number(),
    acknowledgedAt: v.optional(v.number()),
    startedAt: v.optional(v.number()),
    endedAt: v.optional(v.number()),
  })
    .index("by_openHash", ["openHash"])
    .index("by_onceKey", ["onceKey"])
    .index("by_queue", ["target", "state", "lane"])
    .index("by_target", ["target"])
    .index("by_endedAt", ["endedAt"]),

  // What their agents said. Appended by turn/bridge.ts; deleted by upkeep after a month, or with their target.
  bridgeUpdates: defineTable({
    target: v.string(),
    /** From 1, without gaps, for each target; its times ascend with it. */
    seq: v.number(),
    messageId: v.optional(v.id("bridgeMessages")),
    type: vUpdateType,
    text: v.string(),
    /** The agent's own name for it, so that it may repeat itself. */
    key: v.optional(v.string()),
    createdAt: v.number(),
  })
    .index("by_seq", ["target", "seq"])
    .index("by_time", ["target", "createdAt"])
    .index("by_key", ["messageId", "key"]),

  // How far each consumer has pulled each target's updates. Written by bridge.pull alone; deleted with the target.
  bridgeCursors: defineTable({ consumer: v.string(), target: v.string(), seq: v.number() })
    .index("by_consumer", ["consumer", "target"])
    .index("by_target", ["target"]),

  // Who else than the owner may use the bridge. Only hashes of secrets; deleted when they are revoked.
  bridgeTokens: defineTable({
    name: v.string(),
    role: vTokenRole,
    target: v.optional(v.string()),
    hash: v.string(),
    createdAt: v.number(),
  })
    .index("by_hash", ["hash"])
    .index("by_name", ["name"]),

  // At most one row: the bot that mirrors the bridge, and how far its messages were read. Written by telegram.ts and telegramInbox.ts.
  telegram: defineTable({
    botId: v.number(),
    botName: v.string(),
    chatId: v.optional(v.number()),
    pairing: v.optional(v.object({ hash: v.string(), until: v.number() })),
    offset: v.number(),
    /** Ids of what came last: what comes twice is done once. */
    recent: v.array(v.number()),
    problem: v.optional(v.string()),
    connectedAt: v.number(),
  }),

  // What is shown in the chat. Written in the transaction that gives the reason, then by the service that shows it; deleted by upkeep.
  telegramPosts: defineTable({
    chatId: v.number(),
    text: v.string(),
    target: v.optional(v.string()),
    messageId: v.optional(v.id("bridgeMessages")),
    replyTo: v.optional(v.number()),
    state: vPostState,
    attempts: v.number(),
    readyAt: v.number(),
    /** Its id in the chat: what a reply names. */
    sentId: v.optional(v.number()),
    problem: v.optional(v.string()),
    at: v.number(),
  })
    .index("by_state", ["state"])
    .index("by_sentId", ["chatId", "sentId"]),

  // Files that came in the chat, until they are documents. Deleted by upkeep.
  telegramFiles: defineTable({
    fileId: v.string(),
    name: v.string(),
    sizeBytes: v.optional(v.number()),
    chatMessageId: v.number(),
    state: v.union(v.literal("waiting"), v.literal("done"), v.literal("failed")),
    problem: v.optional(v.string()),
    at: v.number(),
  }).index("by_state", ["state"]),
};
