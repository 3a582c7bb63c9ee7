/** A table as bytes: each row in whole steps of its own size, a quarter of the room. */

export type Quantised = { readonly rows: Int8Array; readonly steps: Float32Array };

export function quantise(table: Float32Array, dimensions: number): Quantised {
  const count = table.length / dimensions;
  const rows = new Int8Array(table.length);
  const steps = new Float32Array(count);
  for (let row = 0; row < count; row += 1) {
    let most = 0;
    for (let at = row * dimensions; at < (row + 1) * dimensions; at += 1) most = Math.max(most, Math.abs(table[at]!));
    steps[row] = most / 127;
    if (most === 0) continue;
    for (let at = row * dimensions; at < (row + 1) * dimensions; at += 1) rows[at] = Math.round(table[at]! / steps[row]!);
  }
  return { rows, steps };
}

/** The table that the bytes stand for. */
export function dequantised(table: Float32Array, dimensions: number): Float32Array {
  const { rows, steps } = quantise(table, dimensions);
  return Float32Array.from(rows, (value, at) => value * steps[Math.floor(at / dimensions)]!);
}
