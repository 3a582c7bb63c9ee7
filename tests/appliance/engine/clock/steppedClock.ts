/**
 * Loaded before everything else, in every thread: the wall clock is off by as many milliseconds as the file says that this module's
 * address names (`steppedClock.ts?offset=FILE`). Timers and `performance` go on as they are, as they do when an administrator sets the
 * clock.
 */
import { readFileSync } from "node:fs";

const file = new URL(import.meta.url).searchParams.get("offset") ?? "";
const RealDate = Date;

function now(): number {
  return RealDate.now() + Number(readFileSync(file, "utf8"));
}

class SteppedDate extends RealDate {
  constructor(...args: readonly unknown[]) {
    super(...((args.length === 0 ? [now()] : args) as [number]));
  }
  static override now = now;
}
globalThis.Date = SteppedDate as DateConstructor;
