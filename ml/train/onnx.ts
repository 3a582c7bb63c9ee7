/**
 * The model as an ONNX graph, written by hand: the few messages of the format that it takes are smaller than a library. Pieces are looked
 * up, counted and summed inside the graph, so whoever runs it gets the finished vector in the place of the first token. IR 7 and opset
 * 13, which all runtimes in use read.
 */
import { saturation } from "./bag.ts";
import { nothingOf, type StaticModel } from "./model.ts";
import { quantise } from "./quantise.ts";

type Field = { readonly id: number; readonly value: number | string | Uint8Array | readonly Field[] };

const types = { float: 1, int8: 3, int64: 7 } as const;
const irVersion = 7;
const opset = 13;

/** The graph's bytes; the same for the same model. */
export function toOnnx(model: StaticModel): Uint8Array {
  const { dimensions, vocabulary } = model;
  const { rows, steps } = quantise(model.table, dimensions);
  const pieces = vocabulary.pieces.length;
  const bytesOf = (values: Float32Array | Int8Array | BigInt64Array): Uint8Array =>
    new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const constants = [
    tensor("rows", types.int8, [pieces, dimensions], bytesOf(rows)),
    tensor("steps", types.float, [pieces, 1], bytesOf(steps)),
    tensor("nothing", types.float, [dimensions], bytesOf(nothingOf(dimensions))),
    tensor("saturation", types.float, [], bytesOf(Float32Array.of(saturation))),
    tensor("most", types.float, [], bytesOf(Float32Array.of(saturation + 1))),
    ...[1, 2].map((axis) => tensor(`axis${axis}`, types.int64, [1], bytesOf(BigInt64Array.of(BigInt(axis))))),
  ];
  const nodes = [
    node("Gather", ["rows", "input_ids"], "stepped"),
    node("Cast", ["stepped"], "whole", [["to", types.float]]),
    node("Gather", ["steps", "input_ids"], "step"),
    node("Mul", ["whole", "step"], "found"),
    node("Cast", ["attention_mask"], "there", [["to", types.float]]),
    // How often each piece stands in its text.
    node("Unsqueeze", ["input_ids", "axis2"], "each"),
    node("Unsqueeze", ["input_ids", "axis1"], "other"),
    node("Equal", ["each", "other"], "isSame"),
    node("Cast", ["isSame"], "same", [["to", types.float]]),
    node("Unsqueeze", ["there", "axis1"], "othersThere"),
    node("Mul", ["same", "othersThere"], "counted"),
    node("ReduceSum", ["counted", "axis2"], "count", [["keepdims", 0]]),
    node("Add", ["count", "saturation"], "slowed"),
    node("Div", ["most", "slowed"], "share"),
    node("Mul", ["share", "there"], "weight"),
    node("Unsqueeze", ["weight", "axis1"], "weights"),
    node("MatMul", ["weights", "found"], "sum"),
    node("Add", ["sum", "nothing"], "directed"),
    node("Mul", ["directed", "directed"], "squares"),
    node("ReduceSum", ["squares", "axis2"], "square", [["keepdims", 1]]),
    node("Sqrt", ["square"], "length"),
    node("Div", ["directed", "length"], "last_hidden_state"),
  ];
  const graph: Field[] = [
    ...nodes.map((value) => ({ id: 1, value })),
    { id: 2, value: "nika" },
    ...constants.map((value) => ({ id: 5, value })),
    ...["input_ids", "attention_mask"].map((name) => ({ id: 11, value: port(name, types.int64, ["batch", "pieces"]) })),
    { id: 12, value: port("last_hidden_state", types.float, ["batch", 1, dimensions]) },
  ];
  return message([
    { id: 1, value: irVersion },
    { id: 2, value: "nika" },
    { id: 7, value: graph },
    {
      id: 8,
      value: [
        { id: 1, value: "" },
        { id: 2, value: opset },
      ],
    },
  ]);
}

function node(
  operator: string,
  inputs: readonly string[],
  output: string,
  attributes: readonly (readonly [string, number])[] = [],
): Field[] {
  return [
    ...inputs.map((value) => ({ id: 1, value })),
    { id: 2, value: output },
    { id: 3, value: output },
    { id: 4, value: operator },
    // Whole numbers (2) are the only kind that is needed.
    ...attributes.map(([name, value]) => ({
      id: 5,
      value: [
        { id: 1, value: name },
        { id: 3, value },
        { id: 20, value: 2 },
      ],
    })),
  ];
}

function tensor(name: string, type: number, shape: readonly number[], bytes: Uint8Array): Field[] {
  return [...shape.map((value) => ({ id: 1, value })), { id: 2, value: type }, { id: 8, value: name }, { id: 9, value: bytes }];
}

function port(name: string, type: number, shape: readonly (number | string)[]): Field[] {
  const sides = shape.map((side) => ({ id: 1, value: [{ id: typeof side === "number" ? 1 : 2, value: side }] }));
  return [
    { id: 1, value: name },
    {
      id: 2,
      value: [
        {
          id: 1,
          value: [
            { id: 1, value: type },
            { id: 2, value: sides },
          ],
        },
      ],
    },
  ];
}

/** Fields as protocol buffers have them: a number as a varint, the rest with its length before it. */
function message(fields: readonly Field[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const { id, value } of fields) {
    if (typeof value === "number") {
      parts.push(varint(id * 8), varint(value));
      continue;
    }
    const bytes =
      typeof value === "string" ? new TextEncoder().encode(value) : value instanceof Uint8Array ? value : message(value);
    parts.push(varint(id * 8 + 2), varint(bytes.length), bytes);
  }
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Uint8Array.from([...bytes, rest]);
    bytes.push((rest % 128) + 128);
  }
}
