import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
import { vReadingRoom, vReport } from "./model/appliance.ts";
import { vMessageCounts, vMessageState, vTokenRole, vUpdateType } from "./model/bridge.ts";
import { vBatchOrigin, vBatchSums, vDecision, vGrouping, vSample } from "./model/batch.ts";
import { vComparison } from "./model/comparison.ts";
import { vDocumentState, vLabels, vProgress, vReading, vTrouble } from "./model/document.ts";
import { vEventType } from "./model/event.ts";
import { vGenerationState } from "./model/generation.ts";
import { vCaps } from "./model/budget.ts";
import { vCapability, vMoney, vObserved, vOffer, vProviderId, vSatellite } from "./model/gpu.ts";
import { vGpuAsk, vGpuFile, vGpuJobLife } from "./model/gpuJob.ts";
import { vInstallResult, vInstallStep, vInstallWish } from "./model/install.ts";
import { vFailure, vJobEvent, vJobState, vLease } from "./model/job.ts";
import { vWorkerAbout } from "./model/joined.ts";
import { vArgs, vKind } from "./model/kinds.ts";
import { vGate, vLane } from "./model/lane.ts";
import { vMachineLife, vMachineOwner } from "./model/machine.ts";
import { vPictureFacts } from "./model/picture.ts";
import { vBlock, vEvidence } from "./model/posterior.ts";
import { vRegistrySetting } from "./model/registry.ts";
import { vEffectClass, vEffectState, vRunProblem, vRunState, vStepSpec, vStepState, vValue, vWaitFor } from "./model/run.ts";
import { vScalingMemory } from "./model/scale.ts";
import { vScalingPlan, vScalingView } from "./model/scaling.ts";
import { vProfile } from "./model/theme.ts";
import { vOccurrenceState, vScheduleSpec } from "./model/schedule.ts";
import { vLedgerHead, vServerFacts, vToolCall } from "./model/serverView.ts";
import { vSettings } from "./model/setting.ts";
import { vPostState } from "./model/telegram.ts";
import { vFusion, vLoraWish, vModelResult } from "./model/model.ts";
import { vPassageName, vReactionType } from "./model/use.ts";
import { vFunctionReport, vInvocationState, vRunFacts, vTrigger } from "./model/userFunction.ts";
import { vSeen, vWatchMode, vWatchReport } from "./model/watch.ts";

export default defineSchema({
  // What the owner handed in. Written by documents.ts, and by the settling of its job in the same transaction; deleted only when
  // its forget job settles. `storageId` and `sha256` are absent for files that were refused before a byte was stored.
  documents: defineTable({
    name: v.string(),
    /** The last part of `name`. */
    baseName: v.string(),
    state: vDocumentState,
    sizeBytes: v.number(),
    /** Hex. */
    sha256: v.optional(v.string()),
    storageId: v.optional(v.id("_storage")),
    addedAt: v.number(),
    readyAt: v.optional(v.number()),
    problem: v.optional(vTrouble),
    reading: v.optional(vReading),
    /** Its open job; absent when there is none. */
    jobId: v.optional(v.id("jobs")),
    /** Whose it is; absent means the owner. */
    tenantId: v.optional(v.string()),
    /** What it was handed in with. */
    batchId: v.optional(v.id("batches")),
    /** The archive or mailbox it came out of, the outermost of these, and how many they are. */
    parentId: v.optional(v.id("documents")),
    rootId: v.optional(v.id("documents")),
    depth: v.optional(v.number()),
    /** Of an outermost one: what was taken out of it so far, all in all. */
    unpacked: v.optional(v.object({ entries: v.number(), sizeBytes: v.number() })),
    /** Versions of one file have the id of the first in common, and count from 1. `isOld` is set when a newer one took its place. */
    family: v.optional(v.id("documents")),
    version: v.optional(v.number()),
    isOld: v.optional(v.boolean()),
    /** What the owner said of it, and whether that was while it was being read. */
    labels: v.optional(vLabels),
    isRelabelled: v.optional(v.boolean()),
    /** The theme that it was put into. */
    domain: v.optional(v.string()),
  })
    .index("by_state", ["state"])
    .index("by_isOld", ["isOld"])
    .index("by_family", ["family", "version"])
    .index("by_batch", ["batchId", "state"])
    .index("by_isInBatch", ["batchId"])
    .index("by_sha256", ["sha256"])
    .index("by_name", ["name", "sha256"])
    .index("by_baseName", ["baseName"])
    .index("by_storageId", ["storageId"]),

  // Where each document comes from: one row for each name, file or archive entry that has its bytes. Written with the document by
  // turn/intake.ts; deleted with it. `key` names a file whose bytes may change; then the row moves on to the new version. A row
  // without a document is a watched file that the owner had forgotten: it stays forgotten until it changes.
  sources: defineTable({
    documentId: v.optional(v.id("documents")),
    name: v.string(),
    baseName: v.string(),
    key: v.optional(v.string()),
    parentId: v.optional(v.id("documents")),
    /** Its position in `parentId`, from 0. */
    entry: v.optional(v.number()),
    seen: v.optional(vSeen),
  })
    .index("by_documentId", ["documentId"])
    .index("by_key", ["key"])
    .index("by_parent", ["parentId", "entry"])
    .index("by_watch", ["seen.watchId"])
    .index("by_baseName", ["baseName"]),

  // What was handed in together. Written by batches.ts when the owner says so; claims read it, so it must stay quiet.
  batches: defineTable({
    label: v.string(),
    origin: vBatchOrigin,
    isReviewed: v.boolean(),
    /** No more files are to come. */
    isClosed: v.boolean(),
    isPaused: v.boolean(),
    isCancelled: v.boolean(),
    decision: v.optional(vDecision),
    addedAt: v.number(),
    watchId: v.optional(v.id("watches")),
  }).index("by_watch", ["watchId", "isClosed"]),

  // How far each batch is, apart from `batches` because it changes with every document. Written by turn/sum.ts alone.
  batchSums: defineTable({
    batchId: v.id("batches"),
    sums: vBatchSums,
    samples: v.array(vSample),
    endedAt: v.optional(v.number()),
  }).index("by_batchId", ["batchId"]),

  // What is in each batch: one row for each type, language, theme, folder, format and problem. Written by turn/sum.ts alone.
  groups: defineTable({
    batchId: v.id("batches"),
    by: vGrouping,
    value: v.string(),
    documents: v.number(),
    sizeBytes: v.number(),
    staged: v.number(),
  })
    .index("by_value", ["batchId", "by", "value"])
    .index("by_size", ["batchId", "by", "documents"]),

  // Pictures taken out of documents. Written by the ingest that found them, deleted with their document.
  pictures: defineTable({
    documentId: v.id("documents"),
    sha256: v.string(),
    sizeBytes: v.number(),
    storageId: v.id("_storage"),
    ...vPictureFacts.fields,
  })
    .index("by_documentId", ["documentId", "ordinal"])
    .index("by_storageId", ["storageId"]),

  // Folders the owner wants followed. Written by watches.ts; `report` by the service that follows them.
  watches: defineTable({
    path: v.string(),
    mode: vWatchMode,
    isReviewed: v.boolean(),
    isPaused: v.boolean(),
    addedAt: v.number(),
    report: v.optional(vWatchReport),
  }).index("by_path", ["path"]),

  // The wording of each document in short, and the parts of it by which others alike are found. Written when its
  // ingest settles, deleted with it.
  sketches: defineTable({ documentId: v.id("documents"), sketch: v.array(v.number()) }).index("by_documentId", ["documentId"]),
  // What each document is about, and how many came since themes were last looked for among them. Written by turn/theme.ts.
  profiles: defineTable({ documentId: v.id("documents"), ...vProfile.fields }).index("by_documentId", ["documentId"]),
  themes: defineTable({ fresh: v.number(), jobId: v.optional(v.id("jobs")) }),

  bands: defineTable({ documentId: v.id("documents"), band: v.string() })
    .index("by_documentId", ["documentId"])
    .index("by_band", ["band"]),

  // Written by whoever wants work done, in the transaction that gives the reason. Claimed and settled only through jobs.ts; deleted
  // by upkeep a week after it ended. `lease` is present exactly while state is "leased". `isDue` is `readyAt` having passed, as a
  // stored fact: a query must not look at the clock, or it would never be told that time went by.
  jobs: defineTable({
    kind: vKind,
    args: vArgs,
    label: v.string(),
    documentId: v.optional(v.id("documents")),
    batchId: v.optional(v.id("batches")),
    /** Its batch is paused: it is not due until that goes on. */
    isParked: v.optional(v.boolean()),
    /** Absent only in jobs of before there were lanes; workers.hello gives them theirs. */
    lane: v.optional(vLane),
    rank: v.number(),
    /** Doors it has to be through to be due (rows of `gates`), and whether it waits at one. */
    gates: v.optional(v.array(vGate)),
    isGated: v.optional(v.boolean()),
    /** While it is open, another one of the same kind and key is not made (row of `uniques`). */
    uniqueKey: v.optional(v.string()),
    state: vJobState,
    readyAt: v.number(),
    isDue: v.boolean(),
    attempts: v.number(),
    deaths: v.number(),
    lease: v.optional(vLease),
    cancelAsked: v.optional(v.boolean()),
    progress: v.optional(vProgress),
    error: v.optional(vFailure),
    /** What went wrong, newest last; absent as long as nothing did. */
    history: v.optional(v.array(vJobEvent)),
    startedAt: v.optional(v.number()),
    endedAt: v.optional(v.number()),
  })
    // Each index costs two writes a job. Of ended ones `readyAt` is when they ended, of leased ones when they were claimed.
    .index("by_state", ["state", "isDue", "readyAt"])
    .index("by_lane", ["state", "isDue", "lane", "rank", "readyAt"])
    .index("by_worker", ["lease.workerId", "cancelAsked"])
    .index("by_batch", ["batchId", "state", "isParked"]),

  // Who is through a door or waits at it: one row for each door of each job that wants to be worked on. Written by turn/gate.ts alone.
  gates: defineTable({ name: v.string(), limit: v.number(), jobId: v.id("jobs"), isIn: v.boolean(), rank: v.number() })
    .index("by_name", ["name", "isIn", "rank"])
    .index("by_jobId", ["jobId"]),

  // The open job of each key that may have only one. Written by turn/enqueue.ts and, when the job ends, by turn/move.ts.
  uniques: defineTable({ kind: vKind, key: v.string(), jobId: v.id("jobs") }).index("by_key", ["kind", "key"]),

  // One row per worker name, written when it starts, stops or is given up. Claims read it, so it must stay quiet.
  workers: defineTable({
    name: v.string(),
    /** Goes up with each incarnation; whoever holds a lower one is nobody. */
    epoch: v.number(),
    isUp: v.boolean(),
    slots: v.number(),
    startedAt: v.number(),
    about: v.optional(vWorkerAbout),
    /** What it was let in with, when it is on another machine. */
    tokenId: v.optional(v.id("workerTokens")),
  })
    .index("by_name", ["name"])
    .index("by_isUp", ["isUp"]),

  // Who may join as a worker from another machine, one row each. Only hashes of secrets; written by workers.ts, deleted when revoked.
  workerTokens: defineTable({ name: v.string(), hash: v.string(), createdAt: v.number() })
    .index("by_hash", ["hash"])
    .index("by_name", ["name"]),

  // Each worker's pulse, apart from `workers` because it changes every few seconds. Written by workers.beat alone.
  beats: defineTable({ workerId: v.id("workers"), epoch: v.number(), until: v.number() }).index("by_workerId", ["workerId"]),

  // Functions of many steps that outlive their process. Written by turn/run.ts and what stands beside it; swept a week after
  // they ended. `jobId` is the job that advances it, present exactly while it is running: nobody else may write what it does.
  runs: defineTable({
    name: v.string(),
    label: v.string(),
    /** JSON. */
    args: v.string(),
    /** Of the code that took its last step. */
    version: v.optional(v.number()),
    state: vRunState,
    /** Goes up with each start from the beginning; steps and effects are of one life. */
    life: v.number(),
    jobId: v.optional(v.id("jobs")),
    parentId: v.optional(v.id("runs")),
    depth: v.number(),
    occurrenceId: v.optional(v.id("occurrences")),
    /** When it goes on by itself. */
    wakeAt: v.optional(v.number()),
    /** Goes up when something that it may wait for came while it was running. */
    news: v.number(),
    /** Effects that the owner is asked about. */
    asks: v.number(),
    result: v.optional(vValue),
    error: v.optional(vFailure),
    problem: v.optional(vRunProblem),
    endedAt: v.optional(v.number()),
  })
    .index("by_state", ["state", "wakeAt"])
    .index("by_parent", ["parentId", "endedAt"]),

  // What each run did, in the order in which it was begun: what is here is not done again. Written with each boundary between two steps.
  steps: defineTable({
    runId: v.id("runs"),
    life: v.number(),
    ...vStepSpec.fields,
    state: vStepState,
    /** Tries that failed. */
    attempts: v.number(),
    startedAt: v.number(),
    endedAt: v.optional(v.number()),
    waitFor: v.optional(vWaitFor),
    childId: v.optional(v.id("runs")),
    effectId: v.optional(v.id("effects")),
    value: v.optional(vValue),
    error: v.optional(vFailure),
  }).index("by_run", ["runId", "life"]),

  // Steps that wait, apart from `steps` so that those need only one index. Gone when the step goes on.
  waits: defineTable({ runId: v.id("runs"), stepId: v.id("steps") }).index("by_run", ["runId"]),

  // What was said to runs. `stepId` is the step that heard it; absent until one asks.
  signals: defineTable({
    runId: v.id("runs"),
    kind: v.string(),
    /** JSON. */
    body: v.string(),
    from: v.string(),
    at: v.number(),
    stepId: v.optional(v.id("steps")),
  }).index("by_run", ["runId", "stepId", "kind"]),

  // What runs do to the world, written down before it happens. Deleted with the run.
  effects: defineTable({
    runId: v.id("runs"),
    stepId: v.id("steps"),
    /** SHA-256 of run, life and step, in hex: whoever is asked twice under it need do it once. */
    key: v.string(),
    class: vEffectClass,
    state: vEffectState,
    /** How often it was begun. */
    tries: v.number(),
    at: v.number(),
    endedAt: v.optional(v.number()),
    /** What the owner says came of it, as JSON. */
    result: v.optional(v.string()),
  })
    .index("by_state", ["state", "at"])
    .index("by_run", ["runId"]),

  // Results too large for a row. A file may be of several runs: a child's result is also its parent's.
  runFiles: defineTable({ runId: v.id("runs"), storageId: v.id("_storage") })
    .index("by_run", ["runId"])
    .index("by_storageId", ["storageId"]),

  // What the owner wants to be told. Written in the transaction that made it true; deleted by upkeep.
  events: defineTable({
    at: v.number(),
    type: vEventType,
    name: v.string(),
    text: v.string(),
    documentId: v.optional(v.id("documents")),
  }).index("by_at", ["at"]),

  // At most one row: what the owner chose.
  settings: defineTable(vSettings),

  // At most one row: what the running appliance says about itself, written at its start.
  appliance: defineTable(vReport),

  // At most one row: how many files are read at a time, and why not more. Written by the appliance when that changes.
  readingRooms: defineTable(vReadingRoom),

  // At most one row: uploads older than this were looked at, and those without a document thrown away. Written by upkeep alone.
  sweeps: defineTable({ uploadsUntil: v.number() }),

  // One row per noun: how many rows there are of each sort, kept by turn/tally.ts in every transaction that changes one.
  tallies: defineTable({ noun: v.string(), counts: v.record(v.string(), v.number()) }).index("by_noun", ["noun"]),

  // What is to happen when. Written by schedules.ts alone; `nextAts` are instants that functions/schedules worked out, and `nextAt` is
  // the first of them, absent while nothing is to come.
  schedules: defineTable({
    ...vScheduleSpec.fields,
    isEnabled: v.boolean(),
    pausedUntil: v.optional(v.number()),
    version: v.number(),
    nextAts: v.array(v.number()),
    nextAt: v.optional(v.number()),
    lastAt: v.optional(v.number()),
    fired: v.number(),
    createdAt: v.number(),
  })
    .index("by_next", ["nextAt"])
    .index("by_sessionId", ["sessionId"]),

  // What became of each time of a schedule: at most one row for an instant, so nothing happens twice. Written with the schedule and by
  // the settling of its job; the oldest go as new ones come, all with the schedule.
  occurrences: defineTable({
    scheduleId: v.id("schedules"),
    version: v.number(),
    at: v.number(),
    state: vOccurrenceState,
    isLate: v.boolean(),
    jobId: v.optional(v.id("jobs")),
    /** The run that does it, when it is more than one thing. */
    runId: v.optional(v.id("runs")),
    endedAt: v.optional(v.number()),
    text: v.optional(v.string()),
  })
    .index("by_schedule", ["scheduleId", "at"])
    .index("by_open", ["scheduleId", "state"]),

  // Sessions that schedules end with, and until when they are known to live.
  sessions: defineTable({ sessionId: v.string(), until: v.number(), startedAt: v.optional(v.number()) })
    .index("by_sessionId", ["sessionId"])
    .index("by_until", ["until"]),

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

  // The names of secrets and when they were set; the appliance writes and deletes them, pages read.
  credentials: defineTable({ name: v.string(), setAt: v.number() }).index("by_name", ["name"]),

  // Functions that the owner wrote, one row for each in the data folder: what the appliance found there, what the owner allows, and
  // how its runs went. Written by functions.ts and turn/invocation.ts; deleted when its folder is gone.
  userFunctions: defineTable({
    ...vFunctionReport.fields,
    isBareAllowed: v.boolean(),
    done: v.number(),
    failed: v.number(),
    lastError: v.optional(v.string()),
    lastAt: v.optional(v.number()),
    /** How long its latest runs took, oldest first. */
    recentMs: v.array(v.number()),
    /** Rows of `invocations`. */
    kept: v.number(),
    changedAt: v.number(),
  }).index("by_name", ["name"]),

  // Their runs. Written with the reason and by the settling of its job; the oldest go as new ones come, all with the function.
  invocations: defineTable({
    name: v.string(),
    trigger: vTrigger,
    state: vInvocationState,
    /** JSON text, or the file that holds it. */
    input: v.optional(v.string()),
    inputId: v.optional(v.id("_storage")),
    output: v.optional(v.string()),
    outputId: v.optional(v.id("_storage")),
    attempt: v.number(),
    error: v.optional(vFailure),
    facts: v.optional(vRunFacts),
    jobId: v.optional(v.id("jobs")),
    /** The time of a schedule that it is for. */
    occurrenceId: v.optional(v.id("occurrences")),
    createdAt: v.number(),
    endedAt: v.optional(v.number()),
  })
    .index("by_name", ["name"])
    .index("by_inputId", ["inputId"])
    .index("by_outputId", ["outputId"]),

  // What they said while they ran, apart because it grows meanwhile. Deleted with them.
  invocationLogs: defineTable({
    invocationId: v.id("invocations"),
    attempt: v.number(),
    text: v.string(),
    /** Characters that were not kept. */
    dropped: v.number(),
  }).index("by_invocation", ["invocationId"]),

  // Deliveries to webhooks, so that one that comes again is known. Written by functions.ts; the oldest go as new ones come.
  deliveries: defineTable({ name: v.string(), key: v.string(), invocationId: v.id("invocations"), at: v.number() })
    .index("by_key", ["name", "key"])
    .index("by_at", ["at"]),

  // At most one row: the bot that mirrors the bridge, and how far its messages were read. Written by telegram.ts alone.
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

  // At most one row: of which documents the use may be remembered. Written by uses.ts alone.
  learning: defineTable({ scopes: v.array(v.string()) }),

  // Models trained on use. Written by models.ts, which drops the oldest; the files of those that were made lie in the data folder.
  models: defineTable({
    at: v.number(),
    seed: v.number(),
    /** Whether addresses, accounts and numbers were taken out of questions first. */
    isScrubbed: v.boolean(),
    /** Present: trained beside a base (models.tune). */
    lora: v.optional(vLoraWish),
    /** Learned from what was remembered until then; absent: until `at`. */
    until: v.optional(v.number()),
    /** To be the same as this one. */
    againOf: v.optional(v.id("models")),
    /** Put in force when it is better, by the owner's word. */
    deploys: v.optional(v.boolean()),
    jobId: v.optional(v.id("jobs")),
    result: v.optional(vModelResult),
  }),

  // Models beside each other, on the questions of that day. Written by comparisons.ts, which drops the oldest; they quote what was asked, and
  // go with it.
  comparisons: defineTable({
    at: v.number(),
    one: v.string(),
    other: v.optional(v.string()),
    jobId: v.optional(v.id("jobs")),
    result: v.optional(vComparison),
  }),

  // Questions that have to stay answered by a document. Written by comparisons.ts; they go with the document.
  pins: defineTable({ question: v.string(), documentId: v.id("documents"), at: v.number() }).index("by_documentId", [
    "documentId",
  ]),

  // Which vectors searches go by: one row for each space there was. At most one is "live", and at most one beside it is being filled or
  // kept. Written by generations.ts and turn/generation.ts alone; history beyond the newest goes with upkeep.
  generations: defineTable({
    number: v.number(),
    wanted: v.string(),
    collection: v.string(),
    embedderId: v.optional(v.string()),
    dimensions: v.optional(v.number()),
    fusion: vFusion,
    state: vGenerationState,
    by: v.string(),
    reason: v.optional(v.string()),
    at: v.number(),
    liveAt: v.optional(v.number()),
    endedAt: v.optional(v.number()),
    jobId: v.optional(v.id("jobs")),
    /** The next passage to copy, by its id. */
    cursor: v.optional(v.string()),
    done: v.optional(v.number()),
    total: v.optional(v.number()),
    problem: v.optional(v.string()),
  }).index("by_state", ["state"]),

  // Questions that were asked, and what was shown, where the owner lets Nika learn. Written by uses.ts; dropped by age, by the owner's
  // word, and with a document that answered (turn/use.ts).
  uses: defineTable({
    key: v.string(),
    at: v.number(),
    session: v.string(),
    question: v.string(),
    shown: v.array(vPassageName),
  })
    .index("by_key", ["key"])
    .index("by_at", ["at"]),

  // What was done with what was shown. Lives and goes with its use.
  reactions: defineTable({ useId: v.id("uses"), at: v.number(), type: vReactionType, ...vPassageName.fields })
    .index("by_use", ["useId"])
    .index("by_documentId", ["documentId"]),

  // Rented machines, one row a billable thing, written before it is asked for (with its money set aside in the same transaction) or when a
  // provider shows one of ours without a row. Written by turn/lease.ts alone; rows of what is gone go after a month.
  machines: defineTable({
    owner: vMachineOwner,
    /** Of 12 characters; with the name and the token, what it is known by outside. */
    key: v.string(),
    name: v.string(),
    token: v.string(),
    /** The number under which what runs on it reports, and a hash of the secret that it enrols with. */
    epoch: v.number(),
    secretHash: v.optional(v.string()),
    offer: vOffer,
    capability: vCapability,
    diskMb: v.number(),
    deadline: v.number(),
    bootBy: v.number(),
    /** Who asked for it: "owner", or an agent's name. */
    by: v.string(),
    createdAt: v.number(),
    /** In the currency of its offer: set aside, and, once it is gone, what it came to. */
    reserved: vMoney,
    cost: v.optional(vMoney),
    /** What the sums of `gpuTotals` hold of it, micro-EUR. */
    counted: v.object({ reserved: v.number(), hourly: v.number(), spent: v.number() }),
    /** As the provider shows it, the last time it did; and when it last answered at all. */
    observed: v.optional(vObserved),
    lookedAt: v.optional(v.number()),
    /** Of a worker: the name of the worker that joined. */
    workerName: v.optional(v.string()),
    /** When it was told to take nothing new, and to stop. */
    drainedAt: v.optional(v.number()),
    life: vMachineLife,
    /** When the reaper looks at it, should nothing happen before. */
    reapAt: v.optional(v.number()),
  })
    .index("by_key", ["key"])
    .index("by_ref", ["life.ref.provider", "life.ref.region", "life.ref.id"])
    .index("by_state", ["life.state"])
    .index("by_reapAt", ["reapAt"])
    .index("by_provider", ["offer.provider", "life.verb", "life.dueAt"])
    .index("by_lookedAt", ["offer.provider", "life.state", "lookedAt"])
    .index("by_alarm", ["life.alarmAt"])
    .index("by_goneAt", ["life.goneAt"])
    .index("by_gpuJob", ["owner.gpuJobId"])
    .index("by_lane", ["owner.lane", "life.state"]),

  // What the owner allows of renting machines for work that waits, and what is remembered from look to look: one row, of scaling.ts.
  scaling: defineTable({
    ...vScalingPlan.fields,
    memory: vScalingMemory,
    /** Since when each machine has done nothing. */
    idle: v.array(v.object({ id: v.string(), since: v.number() })),
    bootMs: v.optional(v.number()),
    look: vScalingView.fields.look,
  }),

  // What was decided about them, and why; with all that was seen, as JSON, so that it can be decided again. Written by scaling.ts; the
  // last 500 are kept.
  scalingDecisions: defineTable({
    at: v.number(),
    add: v.number(),
    remove: v.array(v.string()),
    need: v.number(),
    says: v.string(),
    where: v.optional(v.string()),
    input: v.string(),
  }),

  // When what runs on a machine was last heard, apart from its row, which must stay quiet. `at` is absent for one that is over.
  machineBeats: defineTable({
    machineId: v.id("machines"),
    at: v.optional(v.number()),
    seq: v.number(),
    gpu: v.optional(v.object({ name: v.string(), busy: v.number(), memoryMb: v.number(), celsius: v.optional(v.number()) })),
    diskFreeMb: v.optional(v.number()),
    says: v.optional(v.string()),
  })
    .index("by_machine", ["machineId"])
    .index("by_at", ["at"]),

  // Work for rented machines. Written by gpuJobs.ts and turn/lease.ts; their life is model/gpuJob.ts.
  gpuJobs: defineTable({
    ask: vGpuAsk,
    by: v.string(),
    createdAt: v.number(),
    life: vGpuJobLife,
    machineId: v.optional(v.id("machines")),
    /** What there is of its output: the next offset, in bytes, by attempt. */
    logBytes: v.number(),
    /** Official results, and the attempt that they are of. */
    files: v.optional(v.object({ attempt: v.number(), files: v.array(vGpuFile), manifestSha256: v.string() })),
    /** The last two that are whole, newest first. */
    checkpoints: v.array(v.object({ attempt: v.number(), seq: v.number(), file: vGpuFile, at: v.number() })),
    facts: v.array(v.string()),
  })
    .index("by_state", ["life.state"])
    .index("by_due", ["life.dueAt"])
    .index("by_endedAt", ["life.endedAt"])
    .index("by_key", ["ask.key"]),

  // Stored files of jobs: payload, checkpoints, results. A payload may be of several. Written by turn/gpuFile.ts.
  gpuFiles: defineTable({ gpuJobId: v.id("gpuJobs"), storageId: v.id("_storage") })
    .index("by_job", ["gpuJobId"])
    .index("by_storageId", ["storageId"]),

  // Output of a job's attempt, in pieces; each begins where the one before it ended.
  gpuLogs: defineTable({ gpuJobId: v.id("gpuJobs"), attempt: v.number(), offset: v.number(), text: v.string() }).index("by_job", [
    "gpuJobId",
    "attempt",
    "offset",
  ]),

  // Prices that somebody was told, good for ten minutes; `usedBy` is the job that took it.
  gpuQuotes: defineTable({
    ask: vGpuAsk,
    by: v.string(),
    offers: v.array(vOffer),
    says: v.string(),
    atMost: vMoney,
    until: v.number(),
    usedBy: v.optional(v.id("gpuJobs")),
  }).index("by_until", ["until"]),

  // At most one row: what may be spent, and whether anything may.
  gpuSettings: defineTable({
    caps: vCaps,
    usdPerEur: v.number(),
    rateAt: v.optional(v.number()),
    stoppedAt: v.optional(v.number()),
    /** When the reaper last looked, and since when it does so without a pause: what was not heard before that is not silent. */
    reapedAt: v.optional(v.number()),
    upSince: v.optional(v.number()),
    /** Where it goes on among those not heard, when there were more than it looks at in one go. */
    silentFrom: v.optional(v.number()),
  }),

  // Sums of money under one heading each ("all/day/2026-11-21", "provider/aws/day/…", "agent/NAME/day/…", "live"), in micro-EUR.
  gpuTotals: defineTable({
    name: v.string(),
    reserved: v.number(),
    spent: v.number(),
    hourly: v.number(),
    /** Of "live": what each costs to the end that it comes to by itself, counted from one day in the past (model/budget.ts). */
    worst: v.optional(v.number()),
    /** The owner was told that its cap is nearly used up. */
    isWarned: v.optional(v.boolean()),
  }).index("by_name", ["name"]),

  // What is not worth asking for before a time, and what was learned of places where machines are had (model/posterior.ts).
  gpuBlocks: defineTable(vBlock).index("by_name", ["name"]).index("by_until", ["until"]),
  gpuEvidence: defineTable(vEvidence).index("by_place", ["place"]),

  // What a paid test showed of a provider, dated: capabilities are believed when they were seen.
  gpuProofs: defineTable({
    provider: vProviderId,
    at: v.number(),
    passed: v.boolean(),
    facts: v.array(v.string()),
    cost: v.optional(vMoney),
  }).index("by_provider", ["provider", "at"]),

  // When a provider's account was last looked through, what there was that is not ours (never touched), or why it could not be.
  gpuSweeps: defineTable({
    provider: vProviderId,
    at: v.number(),
    wholeAt: v.optional(v.number()),
    ours: v.number(),
    foreign: v.array(v.object({ name: v.string(), id: v.string(), satellites: v.array(vSatellite) })),
    failure: v.optional(v.string()),
  }).index("by_provider", ["provider"]),
});
