/**
 * What came back from the machine that trained. It is believed in nothing that can be looked at: hashes, sizes, the graph's operators, how
 * near it is to torch. Whoever had the machine can still have trained something else; that is for the gate to find.
 */
import { createHash } from "node:crypto";
import { NikaError } from "../../../convex/model/error.ts";
import { servedFiles, type Base } from "./base.ts";
import { refuseGraph } from "./graph.ts";
import { payloadFormat } from "./pack.ts";
import { probeTexts } from "./recipe.ts";

/** Graphs, whole and in bytes, where transformers.js looks for them. */
export const graphs = { whole: "onnx/model.onnx", quantised: "onnx/model_quantized.onnx" } as const;

/** What is read of what came back, with the most it may be; anything else is left where it lies. */
export const resultFiles: readonly { readonly path: string; readonly bytesMax: number }[] = [
  { path: "result.json", bytesMax: 16 * 2 ** 20 },
  { path: "parity.json", bytesMax: 4 * 2 ** 20 },
  { path: graphs.whole, bytesMax: 1.5 * 2 ** 30 },
  { path: graphs.quantised, bytesMax: 512 * 2 ** 20 },
];

/** Between torch and the graph, in any number of any probe's vector. */
export const parityMax = 1e-3;
/** In bytes a model turns its vectors a little; below this it is the whole one that is served. */
const quantisedCosineMin = 0.99;

export type Tuned = {
  /** By path, complete: what is served of the two graphs, and the base's own words for the rest. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly sha256: string;
  readonly isQuantized: boolean;
  readonly maxAbsDifference: number;
  readonly quantisedCosine: number;
  /** Of what is served, by the machine that trained. */
  readonly probeVectors: readonly (readonly number[])[];
  readonly losses: readonly number[];
  readonly epochs: readonly { readonly epoch: number; readonly loss: number | null; readonly ndcg: number | null }[];
  readonly bestEpoch: number;
  readonly share: number;
  readonly seconds: number;
  readonly memoryMb: number;
  readonly gpuMemoryMb?: number;
  /** "cpu", or the GPU's name as torch has it. */
  readonly device: string;
  /** Numbers that were learned, of how many. */
  readonly trained: number;
  readonly numbers: number;
  readonly versions: string;
};

/** `read` by path, as `resultFiles` has them. Fails with `invalid`, and says what is wrong. */
export function toTuned(read: ReadonlyMap<string, Uint8Array>, sent: { readonly base: Base; readonly seed: number }): Tuned {
  for (const { path, bytesMax } of resultFiles) {
    const bytes = read.get(path);
    if (!bytes) throw wrong(`${path} is missing`);
    if (bytes.length > bytesMax) throw wrong(`${path} has ${bytes.length} bytes, more than a model of this kind`);
  }
  const result = objectOf(jsonOf(read, "result.json"), "result.json");
  if (result["format"] !== payloadFormat) throw wrong("result.json is of another format");
  if (result["seed"] !== sent.seed) throw wrong("result.json is of another seed");
  refuseHashes(read, objectOf(result["files"], "its files"), sent.base);
  for (const path of Object.values(graphs)) {
    const refusal = refuseGraph(read.get(path)!);
    if (refusal !== undefined) throw wrong(`${path} may not be run. ${refusal}`);
  }
  const losses = listOf(result["steps"], "its steps").map((step) => numberOf(objectOf(step, "a step")["loss"], "a loss"));
  if (losses.length === 0) throw wrong("it tells of no step");
  const near = readParity(read);
  const isQuantized = near.quantisedCosine >= quantisedCosineMin;
  const path = isQuantized ? graphs.quantised : graphs.whole;
  const files = new Map([...servedFiles.map((name) => [name, sent.base.files.get(name)!] as const), [path, read.get(path)!]]);
  const hash = createHash("sha256");
  for (const [name, bytes] of files) hash.update(name).update(bytes);
  const base = objectOf(result["base"], "its base");
  const memory = objectOf(result["memory"], "its memory");
  const device = objectOf(result["device"], "its device");
  return {
    files,
    sha256: hash.digest("hex"),
    isQuantized,
    maxAbsDifference: near.maxAbsDifference,
    quantisedCosine: near.quantisedCosine,
    probeVectors: isQuantized ? near.quantised : near.whole,
    losses,
    epochs: listOf(result["epochs"], "its epochs").map((one) => {
      const { epoch, loss, ndcg } = objectOf(one, "an epoch");
      return { epoch: numberOf(epoch, "an epoch"), loss: maybe(loss, "a loss"), ndcg: maybe(ndcg, "a score") };
    }),
    bestEpoch: numberOf(result["bestEpoch"], "its best epoch"),
    share: numberOf(result["share"], "its share"),
    seconds: numberOf(objectOf(result["seconds"], "its times")["all"], "its time"),
    memoryMb: numberOf(memory["processMb"], "its memory"),
    ...(memory["gpuMb"] !== undefined && { gpuMemoryMb: numberOf(memory["gpuMb"], "its GPU memory") }),
    device: device["type"] === "cuda" ? plain(device["name"]) : "cpu",
    trained: numberOf(base["trained"], "what was learned"),
    numbers: numberOf(base["numbers"], "the base's size"),
    versions: Object.entries(objectOf(result["versions"], "its versions"))
      .map(([name, version]) => `${plain(name)} ${plain(version)}`)
      .join(", "),
  };
}

/** Served here it has to say what it said where it was made; bytes are rounded a little differently by other processors. */
const servedCosineMin = { whole: 0.9999, quantised: 0.98 };

/** `servedCosine`: the least one, on the probes. Fails with `invalid`. */
export function refuseServed(servedCosine: number, { isQuantized }: Tuned): void {
  const least = isQuantized ? servedCosineMin.quantised : servedCosineMin.whole;
  // Not a number is not enough either.
  if (!(servedCosine >= least))
    throw wrong(`served here it gives other vectors than where it was made (cosine ${servedCosine.toFixed(4)}, ${least} needed)`);
}

function refuseHashes(read: ReadonlyMap<string, Uint8Array>, said: Record<string, unknown>, base: Base): void {
  const expected = new Map([...base.files].filter(([path]) => servedFiles.some((name) => name === path)));
  for (const [path, bytes] of read) if (path !== "result.json") expected.set(path, bytes);
  for (const [path, bytes] of expected) {
    const { sha256 } = objectOf(said[path], `the hash of ${path}`);
    if (sha256 === createHash("sha256").update(bytes).digest("hex")) continue;
    // The words of a model are the base's: with others its numbers would mean something else.
    throw wrong(base.files.has(path) ? `${path} is not the base's any more` : `${path} is not what result.json says`);
  }
}

type Near = {
  readonly maxAbsDifference: number;
  readonly quantisedCosine: number;
  readonly whole: readonly (readonly number[])[];
  readonly quantised: readonly (readonly number[])[];
};

function readParity(read: ReadonlyMap<string, Uint8Array>): Near {
  const said = objectOf(jsonOf(read, "parity.json"), "parity.json");
  const maxAbsDifference = numberOf(said["maxAbsDifference"], "its difference");
  if (maxAbsDifference > parityMax || maxAbsDifference < 0)
    throw wrong(`the graph differs from what was trained by ${maxAbsDifference}, more than ${parityMax}`);
  const vectors = objectOf(said["vectors"], "its vectors");
  const read1 = (name: string): number[][] => {
    const all = listOf(vectors[name], "its vectors").map((one) =>
      listOf(one, "a vector").map((value) => numberOf(value, "a number")),
    );
    if (all.length !== probeTexts.length) throw wrong(`it has ${all.length} vectors of ${probeTexts.length} probes`);
    for (const vector of all) if (Math.abs(Math.hypot(...vector) - 1) > parityMax) throw wrong("a vector is not of length 1");
    return all;
  };
  const [whole, quantised] = [read1("whole"), read1("quantised")];
  if (Math.min(...cosines(whole.slice(1), whole.slice(0, -1))) > 1 - 1e-6) throw wrong("every text has the same vector");
  return { maxAbsDifference, quantisedCosine: Math.min(...cosines(whole, quantised)), whole, quantised };
}

/** Of unit vectors, one by one. */
export const cosines = (some: readonly Vector[], others: readonly Vector[]): number[] =>
  some.map((vector, at) => {
    let sum = 0;
    for (const [d, value] of vector.entries()) sum += value * (others[at]?.[d] ?? 0);
    return sum;
  });
type Vector = readonly number[] | Float32Array;

const wrong = (why: string): NikaError => new NikaError("invalid", `What came back from training is not usable: ${why}.`);

function jsonOf(read: ReadonlyMap<string, Uint8Array>, path: string): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(read.get(path)));
  } catch {
    throw wrong(`${path} is no JSON`);
  }
}

function objectOf(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(`${what} is missing`);
  return value as Record<string, unknown>;
}

function listOf(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw wrong(`${what} is missing`);
  return value;
}

function numberOf(value: unknown, what: string): number {
  if (typeof value !== "number" || !Number.isFinite(value)) throw wrong(`${what} is no number`);
  return value;
}

const maybe = (value: unknown, what: string): number | null => (value === null ? null : numberOf(value, what));

/** Words from elsewhere that end on the owner's screen. */
const plain = (value: unknown): string => (typeof value === "string" ? value.replaceAll(/[^\w .,()+-]/gu, "").slice(0, 80) : "");
