/**
 * What binds counts more than what was said in passing. A judgement of ours, not measured; used only when asked for, 0 to 1.
 */
const authority: Readonly<Record<string, number>> = {
  contract: 1,
  invoice: 0.9,
  manual: 0.9,
  report: 0.8,
  minutes: 0.7,
  quote: 0.7,
  drawing: 0.7,
  letter: 0.6,
  document: 0.5,
  table: 0.5,
  contact: 0.5,
  event: 0.4,
  resume: 0.4,
  email: 0.3,
  picture: 0.3,
  code: 0.2,
  log: 0.1,
};

/** How much a type of document binds. */
export function authorityOf(entityType: string | undefined): number {
  return authority[entityType ?? "document"] ?? 0.5;
}

const yearMs = 365 * 86_400_000;

/** 1 for what was written now, half of that a year ago; 0 when nobody knows. Times are ms since 1970. */
export function recencyOf(writtenAt: number | undefined, now: number): number {
  return writtenAt === undefined ? 0 : 0.5 ** (Math.max(0, now - writtenAt) / yearMs);
}
