/** The three shapes of a vector's value. */

/** Weighted terms: `indices` ascending and unique, as long as `values`. */
export type Terms = { readonly indices: Uint32Array; readonly values: Float32Array };
/** Several vectors of one point under one name, one after the other, each `size` long. */
export type Rows = { readonly rows: Float32Array; readonly size: number };
export type VectorValue = Float32Array | Rows | Terms;

export const isTerms = (value: VectorValue): value is Terms => "indices" in value;
export const isRows = (value: VectorValue): value is Rows => "rows" in value;

export function* rowsOf({ rows, size }: Rows): Generator<Float32Array> {
  for (let at = 0; at < rows.length; at += size) yield rows.subarray(at, at + size);
}
