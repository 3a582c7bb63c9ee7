/**
 * The memory that a worker and its watchman share. Slot 0 is who may act: the worker takes "committing" before it makes a group
 * durable, the watchman takes "killed" before it ends the thread, and each backs off from the other. So no group is ever both
 * committed and run again.
 */
const phases = { idle: 0, running: 1, committing: 2, killed: 3 } as const;

const slots = { phase: 0, task: 1, unit: 2, unitLength: 3 } as const;
const startSlot = 2; // As a Float64 index: bytes 16 to 24.
const textAt = 24;
const textBytes = 4096; // The name of a cron has no limit of its own.

export function newWatchMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(textAt + textBytes);
}

/** One clock for all threads that no administrator sets: when the wall clock steps, no run has grown older. */
function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** The worker's side. */
export function watched(memory: SharedArrayBuffer) {
  const words = new Int32Array(memory, 0, 4);
  const start = new Float64Array(memory, startSlot * 8, 1);
  const text = Buffer.from(memory, textAt);
  return {
    /** A run begins; the clock of its budget starts. `unit` names the job when the task runs several. */
    begin(task: number, unit = ""): void {
      words[slots.unitLength] = unit === "" ? 0 : text.write(unit);
      words[slots.task] = task;
      start[0] = monotonicMs();
      Atomics.add(words, slots.unit, 1);
      Atomics.compareExchange(words, slots.phase, phases.idle, phases.running);
    },
    end(): void {
      start[0] = 0;
    },
    /** Returns only when nobody is about to end this thread. */
    commit(): void {
      Atomics.compareExchange(words, slots.phase, phases.idle, phases.committing);
      const was = Atomics.compareExchange(words, slots.phase, phases.running, phases.committing);
      if (was === phases.killed) for (;;) Atomics.wait(words, slots.phase, phases.killed);
    },
    published(): void {
      Atomics.compareExchange(words, slots.phase, phases.committing, phases.idle);
      Atomics.compareExchange(words, slots.phase, phases.running, phases.idle);
    },
  };
}

export type Culprit = { readonly task: number; readonly unit: string };

/** The watchman's side. */
export function watchman(memory: SharedArrayBuffer) {
  const words = new Int32Array(memory, 0, 4);
  const start = new Float64Array(memory, startSlot * 8, 1);
  return {
    /** Ordinal of the present run and how long it has gone on; undefined between runs. */
    present(): { readonly unit: number; readonly forMs: number } | undefined {
      const startedAt = start[0] as number;
      return startedAt === 0 ? undefined : { unit: Atomics.load(words, slots.unit), forMs: monotonicMs() - startedAt };
    },
    /** True when the thread may now be ended: it is running that very unit and will not commit any more. */
    condemn(unit: number): boolean {
      if (Atomics.load(words, slots.unit) !== unit || start[0] === 0) return false;
      return Atomics.compareExchange(words, slots.phase, phases.running, phases.killed) === phases.running;
    },
    /** The run that goes on, or the last one. */
    culprit(): Culprit {
      const bytes = Buffer.from(new Uint8Array(memory, textAt, words[slots.unitLength])).toString();
      return { task: words[slots.task] as number, unit: bytes };
    },
    /** Whether it was ended from here, so that its end is no surprise. */
    wasKilled: () => Atomics.load(words, slots.phase) === phases.killed,
    /** For a thread that died by itself: whether what it was doing may have become durable. */
    wasCommitting: () => Atomics.load(words, slots.phase) === phases.committing,
  };
}
