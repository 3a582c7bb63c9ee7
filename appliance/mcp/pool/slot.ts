/** One server as the pool holds it: its configuration, its connections, and what went wrong with it lately. */
import type { ServerConfig } from "../../../convex/model/server.ts";
import { canonicalJson } from "../../../convex/model/tool.ts";
import { sha256, type Form } from "./kept.ts";
import type { Peer } from "./peer.ts";

/** One connection, of one scope. */
export type Held = {
  readonly opening: Promise<Peer>;
  peer: Peer | undefined;
  inFlight: number;
  lastAt: number;
  isPaused: boolean;
  readonly startedAt: number;
};
export type Slot = {
  /** What does not need another process is changed in place. */
  config: ServerConfig;
  readonly hash: string;
  readonly generation: number;
  readonly held: Map<string, Held>;
  problem: string | undefined;
  /** In a row, and when it may be tried again. */
  failures: number;
  retryAt: number;
  /** Calls in a row that were not answered. */
  hangs: number;
  isDraining: boolean;
  /** Trying again by itself would not help. */
  isHopeless: boolean;
  isBeingTaken: boolean;
  relisting: NodeJS.Timeout | undefined;
};

/** Begins the problem of one that goes on in its old form. */
export const notTaken = "The new configuration was not taken; it goes on as before.";

/** Nobody has used it yet, and nothing is known to be wrong with it. */
export function toSlot(config: ServerConfig, hash: string, generation: number): Slot {
  return {
    config,
    hash,
    generation,
    held: new Map(),
    problem: undefined,
    failures: 0,
    retryAt: 0,
    hangs: 0,
    isDraining: false,
    isHopeless: false,
    isBeingTaken: false,
    relisting: undefined,
  };
}

/** Whether it takes memory of this machine. */
export const isLocal = ({ config }: Slot): boolean => config.transport.type === "stdio";

const backoffMsMin = 1_000;
const backoffMsMax = 5 * 60_000;

/** It cannot be used for a while, twice as long each time in a row: from 1 s to 5 min. */
export function holdBack(slot: Slot, why: string, at: number): void {
  slot.failures += 1;
  slot.hangs = 0;
  slot.problem = why.endsWith(".") ? why : `${why}.`;
  slot.retryAt = at + Math.min(backoffMsMax, backoffMsMin * 2 ** (slot.failures - 1));
}

export const hashOf = ({ transport, sandbox }: Form): string => sha256(canonicalJson({ transport, sandbox }));
