/** How a worker proves that it lives. All milliseconds. */

/** A worker is taken for dead this long after its last beat … */
export const workerTtlMs = 15_000;
/** … and beats three times as often, so that one lost beat is no harm. */
export const beatEveryMs = workerTtlMs / 3;
/** What a dead worker's last calls may still take to arrive before its jobs are given to others. */
export const reapGraceMs = 2_000;

/** Jobs one worker may hold, and so the most that one mutation touches. */
export const slotsMax = 512;
/** New jobs in one mutation. */
export const addedMax = 256;
