/** Training cut off and taken up again: what is kept, as bytes that say what they belong to and whether they are whole. */
import { createHash } from "node:crypto";
import type { Checkpoint } from "./learn.ts";

type Head = Omit<Checkpoint, "state" | "best"> & {
  readonly version: 2;
  readonly of: string;
  readonly step: number;
  readonly trial: Checkpoint["best"]["trial"];
  /** Numbers in each of the arrays that follow. */
  readonly lengths: readonly [number, number, number];
};

const digestBytes = 32;

/** `of` names the data and recipes that it belongs to. */
export function toBytes({ state, best, ...rest }: Checkpoint, of: string): Uint8Array {
  const arrays = [state.values, state.squares, best.values];
  const head: Head = {
    version: 2,
    of,
    ...rest,
    // JSON has no infinity.
    bestHere: Math.max(rest.bestHere, -1),
    step: state.step,
    trial: best.trial,
    lengths: [state.values.length, state.squares.length, best.values.length],
  };
  const headBytes = new TextEncoder().encode(JSON.stringify(head));
  const body = Buffer.concat([
    Buffer.from(Uint32Array.of(headBytes.length).buffer),
    headBytes,
    ...arrays.map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength)),
  ]);
  return new Uint8Array(Buffer.concat([createHash("sha256").update(body).digest(), body]));
}

/** Undefined when it is torn or belongs to something else: then training starts over. */
export function fromBytes(bytes: Uint8Array, of: string): Checkpoint | undefined {
  const body = bytes.subarray(digestBytes);
  if (body.length < 4) return undefined;
  if (!createHash("sha256").update(body).digest().equals(bytes.subarray(0, digestBytes))) return undefined;
  const view = new DataView(body.buffer, body.byteOffset);
  let at = 4 + view.getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(body.subarray(4, at))) as Head;
  if (head.version !== 2 || head.of !== of) return undefined;
  const arrays = head.lengths.map((length) => {
    const part = new Float32Array(body.slice(at, at + length * 4).buffer);
    at += length * 4;
    return part;
  });
  const { beginning, recipe, stale, bestHere, trials, trial, step } = head;
  return {
    beginning,
    recipe,
    stale,
    bestHere,
    trials,
    best: { trial, values: arrays[2]! },
    state: { step, values: arrays[0]!, squares: arrays[1]! },
  };
}
