/** Vectors as bytes in the file, by the datatype that the collection was made with. What is rounded is rounded once, before this. */
import type { Datatype } from "../config.ts";

type Codec = { readonly bytesEach: number; encode(vector: Float32Array): Uint8Array; decode(blob: Uint8Array): Float32Array };

const bytesOf = (array: Float32Array | Float16Array): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

export const codecs: Readonly<Record<Datatype, Codec>> = {
  float32: {
    bytesEach: 4,
    encode: bytesOf,
    decode: (blob) => new Float32Array(blob.buffer, blob.byteOffset, blob.byteLength / 4),
  },
  float16: {
    bytesEach: 2,
    encode: (vector) => bytesOf(Float16Array.from(vector)),
    decode: (blob) => Float32Array.from(new Float16Array(blob.buffer, blob.byteOffset, blob.byteLength / 2)),
  },
  uint8: { bytesEach: 1, encode: (vector) => Uint8Array.from(vector), decode: (blob) => Float32Array.from(blob) },
};

/** The nearest values that the datatype can hold, in place. Bytes are cut, not rounded, and kept in 0 to 255, as Qdrant does. */
export function roundTo(datatype: Datatype, vector: Float32Array): Float32Array {
  if (datatype === "float16") vector.set(Float16Array.from(vector));
  if (datatype === "uint8")
    for (let i = 0; i < vector.length; i++) vector[i] = Math.min(255, Math.max(0, Math.trunc(vector[i]!)));
  return vector;
}
