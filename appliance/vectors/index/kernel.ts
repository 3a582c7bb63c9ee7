/**
 * What the kernel computes over the int8 rows, on WebAssembly SIMD or, where a CPU lacks it, in plain JavaScript. A row is cut in two
 * planes, see kernel.wat. All that is an address is a byte offset into the memory; `half` is a row's length in one plane.
 */
export type Kernel = {
  /** out[i] = a score of row i < n from its high nibbles alone; n is a multiple of 4. */
  coarse(query: number, scales: number, high: number, n: number, half: number, factor: number, offset: number, out: number): void;
  /** out[i] = scales[i] * (query . row i), exact, for i < n. */
  scan(query: number, scales: number, high: number, low: number, n: number, half: number, offset: number, out: number): void;
  /** The same for the rows that `list` (u32) names. */
  pick(
    query: number,
    scales: number,
    high: number,
    low: number,
    list: number,
    n: number,
    half: number,
    offset: number,
    out: number,
  ): void;
  /** Writes to `list` which of n scores are at least `cut`, and answers how many; n is a multiple of 4. */
  above(scores: number, n: number, cut: number, list: number): number;
};

// kernel.wat, assembled with wabt 1.0.39.
const moduleBase64 =
  "AGFzbQEAAAABOgZgAXsBf2AIf39/f399fX8AYAZ/fX9/f3wBfWAIf39/f39/fH8AYAl/f39/f39/fH8AYAR/f31/AX8CCAEBZQFtAgABAwcGAAECAwQFByAE" +
  "BmNvYXJzZQABBHNjYW4AAwRwaWNrAAQFYWJvdmUABQrMCAYZACAA/RsAIAD9GwFqIAD9GwIgAP0bA2pqC+QDBAJ/BHsDfwR7IANFBEAPC0GPnrz4AP0RIQ0g" +
  "BUMAAIBBlCEFIAEgA0ECdGohCANAIAIgBGohDiAOIARqIQ8gDyAEaiEQ/QwAAAAAAAAAAAAAAAAAAAAAIRH9DAAAAAAAAAAAAAAAAAAAAAAhEv0MAAAAAAAA" +
  "AAAAAAAAAAAAACET/QwAAAAAAAAAAAAAAAAAAAAAIRRBACEJA0AgACAJQQF0av0ABAAhCiAAIAlBAXRq/QAEECELIAIgCWr9AAQAIQwgCiAMIA39TiALIAxB" +
  "BP2NASAN/U4gEf2TAv2TAiERIA4gCWr9AAQAIQwgCiAMIA39TiALIAxBBP2NASAN/U4gEv2TAv2TAiESIA8gCWr9AAQAIQwgCiAMIA39TiALIAxBBP2NASAN" +
  "/U4gE/2TAv2TAiETIBAgCWr9AAQAIQwgCiAMIA39TiALIAxBBP2NASAN/U4gFP2TAv2TAiEUIAlBEGohCSAJIARJDQALIAcgASoCACAGIAUgERAAspSSlDgC" +
  "ACAHIAEqAgQgBiAFIBIQALKUkpQ4AgQgByABKgIIIAYgBSATEACylJKUOAIIIAcgASoCDCAGIAUgFBAAspSSlDgCDCAHQRBqIQcgECAEaiECIAFBEGohASAB" +
  "IAhJDQALC6gCAgJ/CHtBj568+AD9ESEIIAAgBEEBdGohByAHIARBAXRqIQADQCACIAZq/QAEACEJIAMgBmr9AAQAIQogCSAI/U4hDyAH/QAEACAPIAv9kwIh" +
  "CyAA/QAEACAPIAz9kwIhDCAJQQT9jQEgCP1OIQ8gB/0ABBAgDyAL/ZMCIQsgAP0ABBAgDyAM/ZMCIQwgCiAI/U4hDyAH/QAEACAPIA39kwIhDSAA/QAEACAP" +
  "IA79kwIhDiAKQQT9jQEgCP1OIQ8gB/0ABBAgDyAN/ZMCIQ0gAP0ABBAgDyAO/ZMCIQ4gB0EgaiEHIABBIGohACAGQRBqIQYgBiAESQ0ACyABuyAFRAAAAAAA" +
  "AGBAIAsQAEEEdCANEABqt6IgDBAAQQR0IA4QAGq3oKCitgtRAQF/IARFBEAPCyABIARBAnRqIQgDQCAHIAAgASoCACACIAMgBSAGEAI4AgAgB0EEaiEHIAIg" +
  "BWohAiADIAVqIQMgAUEEaiEBIAEgCEkNAAsLXQEDfyAFRQRADwsgBCAFQQJ0aiEJA0AgBCgCACEKIAogBmwhCyAIIAAgASAKQQJ0aioCACACIAtqIAMgC2og" +
  "BiAHEAI4AgAgCEEEaiEIIARBBGohBCAEIAlJDQALC3ACA38BeyADIQYgAv0TIQcgAUUEQEEADwsDQCAA/QAEACAH/Ub9pAEhBSAFBEADQCADIAQgBWhqNgIA" +
  "IANBBGohAyAFIAVBAWtxIQUgBQ0ACwsgAEEQaiEAIARBBGohBCAEIAFJDQALIAMgBmtBAnYL";

/** Bytes that grow by pages; growing detaches what was looked at through the old `buffer`. */
export type Memory = { readonly buffer: ArrayBuffer; grow(pages: number): number };
export const pageBytes = 65_536;

// TypeScript knows WebAssembly only together with the whole DOM; this much of it is used.
const wasm = (globalThis as unknown as { WebAssembly: WebAssemblyApi }).WebAssembly;
type WebAssemblyApi = {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: { e: { m: Memory } }) => { readonly exports: unknown };
  Memory: new (pages: { initial: number; maximum: number }) => Memory;
};

export const openMemory = (pages: number): Memory => new wasm.Memory({ initial: pages, maximum: pageBytes });

let compiled: object | null | undefined;

function compile(): object | null {
  try {
    return new wasm.Module(Buffer.from(moduleBase64, "base64"));
  } catch {
    return null; // No SIMD here: the same sums in JavaScript, about ten times slower.
  }
}

/** The fastest kernel this machine can run, over `memory`. */
export function openKernel(memory: Memory): Kernel {
  compiled ??= compile();
  if (compiled === null) return plainKernel(memory);
  return new wasm.Instance(compiled, { e: { m: memory } }).exports as Kernel;
}

/** The reference: slow, obvious, and what the SIMD kernel is tested against. */
export function plainKernel(memory: Memory): Kernel {
  const fround = Math.fround;
  const bytesAt = (at: number, length: number): Uint8Array => new Uint8Array(memory.buffer, at, length);
  /** Nibble i of a row's plane. */
  const nibble = (plane: Uint8Array, i: number): number => (plane[(i >> 5) * 16 + (i & 15)]! >> (i & 16 ? 4 : 0)) & 15;
  // oxlint-disable-next-line max-params -- as below
  const exact = (query: number, scale: number, high: Uint8Array, low: Uint8Array, offset: number): number => {
    const length = high.length * 2;
    const q = new Int8Array(memory.buffer, query + length, length * 2);
    let sum = offset;
    for (let i = 0; i < length; i++) sum += (128 * q[i]! + q[length + i]!) * (16 * nibble(high, i) + nibble(low, i));
    return fround(scale * sum);
  };
  return {
    // oxlint-disable-next-line max-params -- the shape of a WebAssembly export: plain numbers
    coarse(query, scales, high, n, half, factor, offset, out) {
      const scale = new Float32Array(memory.buffer, scales, n);
      const to = new Float32Array(memory.buffer, out, n);
      const q = new Int8Array(memory.buffer, query, half * 2);
      for (let row = 0; row < n; row++) {
        const plane = bytesAt(high + row * half, half);
        let sum = 0;
        for (let i = 0; i < half * 2; i++) sum += q[i]! * nibble(plane, i);
        // As 32-bit floats in the kernel's order.
        to[row] = scale[row]! * fround(fround(offset) + fround(fround(fround(factor) * 16) * fround(sum)));
      }
    },
    // oxlint-disable-next-line max-params -- as above
    scan(query, scales, high, low, n, half, offset, out) {
      const scale = new Float32Array(memory.buffer, scales, n);
      const to = new Float32Array(memory.buffer, out, n);
      for (let i = 0; i < n; i++)
        to[i] = exact(query, scale[i]!, bytesAt(high + i * half, half), bytesAt(low + i * half, half), offset);
    },
    // oxlint-disable-next-line max-params -- as above
    pick(query, scales, high, low, list, n, half, offset, out) {
      const slots = new Uint32Array(memory.buffer, list, n);
      const scale = new Float32Array(memory.buffer, scales);
      const to = new Float32Array(memory.buffer, out, n);
      for (let at = 0; at < n; at++) {
        const i = slots[at]!;
        to[at] = exact(query, scale[i]!, bytesAt(high + i * half, half), bytesAt(low + i * half, half), offset);
      }
    },
    above(scores, n, cut, list) {
      const values = new Float32Array(memory.buffer, scores, n);
      const to = new Uint32Array(memory.buffer, list, n);
      let found = 0;
      for (let i = 0; i < n; i++) if (values[i]! >= fround(cut)) to[found++] = i;
      return found;
    },
  };
}
