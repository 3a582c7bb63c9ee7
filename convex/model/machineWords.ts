/** A machine's state and why it went, in English: on the page and on the command line the same. */
import type { EndReason, MachineState } from "./machine.ts";

export const stateText: Readonly<Record<MachineState, string>> = {
  intended: "Written down",
  creating: "Asked for",
  unknownOutcome: "Nobody knows whether it exists",
  booting: "Starts",
  ready: "Ready",
  busy: "Works",
  draining: "Ends its work",
  ending: "Is being ended",
  verifying: "Is said to be gone",
  quarantined: "Found, and looked at",
  leakSuspect: "Should be gone",
  gone: "Gone",
};

export const reasonText: Readonly<Record<EndReason, string>> = {
  finished: "its work was done",
  cancelled: "it was cancelled",
  failed: "its work failed",
  createFailed: "it could not be had",
  neverMade: "it was never made",
  bootTimeout: "it did not dial in in time",
  unfit: "it was not what was asked for",
  silent: "it was not heard any more",
  deadline: "its time was up",
  budget: "it would have cost more than it may",
  idle: "it had nothing to do",
  preempted: "it was taken away",
  disappeared: "it disappeared",
  stopped: "it stopped by itself",
  twin: "it was there twice",
  stray: "nobody knew of it",
  reappeared: "it showed up again",
  panic: "all machines were ended",
};

/** "Works", or "Gone: it was taken away". The state as people are told it. */
export const machineText = (state: MachineState, why: EndReason | undefined): string =>
  why === undefined ? stateText[state] : `${stateText[state]}: ${reasonText[why]}`;
