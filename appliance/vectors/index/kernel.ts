/** What the kernel computes over the int8 rows, on WebAssembly SIMD or, where a CPU lacks it, in plain JavaScript. */
export type Kernel = {
  /** out[i] = scales[i] * (query . rows[i]) for i < n. All are byte offsets into the memory; `bytes` is one row's length. */
  scan(query: number, scales: number, rows: number, n: number, bytes: number, out: number): void;
  /** The same for the rows that `list` (u32) names. */
  pick(query: number, scales: number, rows: number, list: number, n: number, bytes: number, out: number): void;
};

// kernel.wat, assembled with wabt 1.0.39.
const moduleBase64 =
  "AGFzbQEAAAABGwNgA39/fwF/YAZ/f39/f38AYAd/f39/f39/AAIIAQFlAW0CAAEDBAMAAQIHDwIEc2NhbgABBHBpY2sAAgrVAgO0AQIBfwZ7IAEg" +
  "AmohAwNAIAH9AAQAIQQgAf0ABBAhBSAGIAT9hwEgAP0ABAD9ugH9rgEhBiAHIAT9iAEgAP0ABBD9ugH9rgEhByAIIAX9hwEgAP0ABCD9ugH9rgEh" +
  "CCAJIAX9iAEgAP0ABDD9ugH9rgEhCSAAQcAAaiEAIAFBIGohASABIANJDQALIAYgB/2uASAIIAn9rgH9rgEhBiAG/RsAIAb9GwFqIAb9GwIgBv0b" +
  "A2pqC0gBAX8gA0UEQA8LIAEgA0ECdGohBgNAIAUgASoCACAAIAIgBBAAspQ4AgAgBUEEaiEFIAIgBGohAiABQQRqIQEgASAGSQ0ACwtUAQJ/IARF" +
  "BEAPCyADIARBAnRqIQcDQCADKAIAIQggBiABIAhBAnRqKgIAIAAgAiAIIAVsaiAFEACylDgCACAGQQRqIQYgA0EEaiEDIAMgB0kNAAsL";

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
  const dot = (query: number, row: number, bytes: number): number => {
    const q = new Int16Array(memory.buffer, query, bytes);
    const r = new Int8Array(memory.buffer, row, bytes);
    let sum = 0;
    for (let i = 0; i < bytes; i++) sum += q[i]! * r[i]!;
    return Math.fround(sum); // As a 32-bit float, like the kernel.
  };
  return {
    // oxlint-disable-next-line max-params -- the shape of a WebAssembly export: plain numbers
    scan(query, scales, rows, n, bytes, out) {
      const scale = new Float32Array(memory.buffer, scales, n);
      const to = new Float32Array(memory.buffer, out, n);
      for (let i = 0; i < n; i++) to[i] = scale[i]! * dot(query, rows + i * bytes, bytes);
    },
    // oxlint-disable-next-line max-params -- as above
    pick(query, scales, rows, list, n, bytes, out) {
      const slots = new Uint32Array(memory.buffer, list, n);
      const scale = new Float32Array(memory.buffer, scales);
      const to = new Float32Array(memory.buffer, out, n);
      for (let i = 0; i < n; i++) to[i] = scale[slots[i]!]! * dot(query, rows + slots[i]! * bytes, bytes);
    },
  };
}
