/**
 * What one run, one document and one value may be at most: Convex's own limits, and of two documented figures the lower one, so that
 * no app grows into something the real backend would refuse.
 */
const mebibyte = 1024 * 1024;

export const limits = {
  documentBytesMax: mebibyte,
  documentNestingMax: 16,
  valueNestingMax: 64,
  arrayLengthMax: 8192,
  objectFieldsMax: 1024,
  fieldNameLengthMax: 1024,
  argsBytesMax: 16 * mebibyte,
  resultBytesMax: 16 * mebibyte,
  documentsReadMax: 32_000,
  bytesReadMax: 16 * mebibyte,
  indexRangesMax: 4096,
  documentsWrittenMax: 16_000,
  bytesWrittenMax: 16 * mebibyte,
  scheduledMax: 1000,
  scheduledArgsBytesMax: 16 * mebibyte,
  scheduledArgsBytesEachMax: 4 * mebibyte,
  scheduleAheadMs: 5 * 365 * 24 * 3600 * 1000,
  queryOperatorsMax: 256,
  nestingOfRunsMax: 8,
  logLinesMax: 256,
  logLineLengthMax: 32 * 1024,
  indexesPerTableMax: 32,
  fieldsPerIndexMax: 16,
  searchIndexesPerTableMax: 4,
  dimensionsMin: 2,
  dimensionsMax: 4096,
  /** JavaScript time of one query or mutation, then everything including waits. */
  userTimeMs: 1000,
  wallTimeMs: 15_000,
  actionTimeMs: 600_000,
  httpBodyBytesMax: 20 * mebibyte,
  uploadTokenMs: 3600_000,
} as const;
