/**
 * Whether an ONNX graph that came from elsewhere may be run: known operators alone, nothing that reads another file, nothing nested. It is
 * read field by field and never loaded for that; the few messages it takes are smaller than a library.
 */

/** What a BERT is made of, whole or in bytes; no control flow, nothing of a vendor's. */
const operators = new Set(
  (
    "Abs Add And Cast Clip Concat Constant ConstantOfShape DequantizeLinear Div DynamicQuantizeLinear Equal Erf Expand Gather Gemm Greater " +
    "Identity LayerNormalization Less MatMul MatMulInteger Max Min Mul Neg Not Pow Range Reciprocal ReduceL2 ReduceMax ReduceMean ReduceSum " +
    "Reshape Shape Slice Softmax Split Sqrt Squeeze Sub Tanh Transpose Unsqueeze Where"
  ).split(" "),
);
/** What the runtime that serves reads. */
const irMax = 8;
const opsetMax = 18;
const inputs = ["attention_mask", "input_ids"];
const output = "last_hidden_state";

/** Numbers of the fields, as onnx.proto has them. */
const model = { irVersion: 1, graph: 7, opsetImport: 8, training: 20, functions: 25 } as const;
const graphFields = { node: 1, initializer: 5, input: 11, output: 12, sparse: 15 } as const;
const nodeFields = { operator: 4, attribute: 5, domain: 7 } as const;
const attributeFields = { tensor: 5, graph: 6, tensors: 10, graphs: 11, sparse: 22, sparses: 23 } as const;
const tensorFields = { externalData: 13, dataLocation: 14 } as const;
const nameField = 1;
const opsetFields = { domain: 1, version: 2 } as const;

/** Why it may not be run, in a sentence; undefined when it may. */
export function refuseGraph(bytes: Uint8Array): string | undefined {
  try {
    refuseModel(bytes);
    return undefined;
  } catch (error) {
    if (error instanceof Refused) return error.message;
    throw error;
  }
}

class Refused extends Error {}

function refuseModel(bytes: Uint8Array): void {
  let graphs = 0;
  for (const field of fieldsOf(bytes)) {
    if (field.id === model.functions || field.id === model.training) throw new Refused("The graph brings functions of its own.");
    if (field.id === model.irVersion && field.number > irMax)
      throw new Refused(`The graph is of IR ${field.number}; ${irMax} is read here.`);
    if (field.id === model.opsetImport) refuseOpset(field.bytes);
    if (field.id !== model.graph) continue;
    graphs += 1;
    refuseNodes(field.bytes);
  }
  if (graphs !== 1) throw new Refused("The file is no graph.");
}

function refuseOpset(bytes: Uint8Array): void {
  for (const { id, number, bytes: text } of fieldsOf(bytes)) {
    if (id === opsetFields.domain && !isPlain(textOf(text))) throw new Refused(`The graph wants operators of ${textOf(text)}.`);
    if (id === opsetFields.version && number > opsetMax)
      throw new Refused(`The graph is of opset ${number}; ${opsetMax} is read here.`);
  }
}

const isPlain = (domain: string): boolean => domain === "" || domain === "ai.onnx";

function refuseNodes(bytes: Uint8Array): void {
  const names = { [graphFields.input]: [] as string[], [graphFields.output]: [] as string[] };
  for (const field of fieldsOf(bytes)) {
    if (field.id === graphFields.node) refuseNode(field.bytes);
    if (field.id === graphFields.initializer) refuseTensor(field.bytes);
    if (field.id === graphFields.sparse) throw new Refused("The graph holds sparse numbers, which nothing of ours writes.");
    if (field.id === graphFields.input || field.id === graphFields.output)
      names[field.id].push(
        ...fieldsOf(field.bytes)
          .filter(({ id }) => id === nameField)
          .map((one) => textOf(one.bytes)),
      );
  }
  if (names[graphFields.input].toSorted().join() !== inputs.join() || names[graphFields.output].join() !== output)
    throw new Refused(`The graph does not turn ${inputs.join(" and ")} into ${output}.`);
}

function refuseNode(bytes: Uint8Array): void {
  for (const field of fieldsOf(bytes)) {
    if (field.id === nodeFields.domain && !isPlain(textOf(field.bytes)))
      throw new Refused(`The graph has an operator of ${textOf(field.bytes)}.`);
    if (field.id === nodeFields.operator && !operators.has(textOf(field.bytes)))
      throw new Refused(`The graph has the operator ${textOf(field.bytes)}, which no such model needs.`);
    if (field.id === nodeFields.attribute) refuseAttribute(field.bytes);
  }
}

const nested = new Set<number>([attributeFields.graph, attributeFields.graphs, attributeFields.sparse, attributeFields.sparses]);

function refuseAttribute(bytes: Uint8Array): void {
  for (const field of fieldsOf(bytes)) {
    if (nested.has(field.id)) throw new Refused("The graph holds another one.");
    if (field.id === attributeFields.tensor || field.id === attributeFields.tensors) refuseTensor(field.bytes);
  }
}

function refuseTensor(bytes: Uint8Array): void {
  for (const { id, number } of fieldsOf(bytes))
    if (id === tensorFields.externalData || (id === tensorFields.dataLocation && number !== 0))
      throw new Refused("The graph wants numbers from another file.");
}

type Field = { readonly id: number; readonly number: number; readonly bytes: Uint8Array };

const nothing = new Uint8Array();

/** The fields of a message in order: of numbers `number`, of everything else `bytes`. */
function fieldsOf(bytes: Uint8Array): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at];
      if (byte === undefined || shift > 63) throw new Refused("The file is cut off or no graph.");
      at += 1;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  const take = (length: number): Uint8Array => {
    if (at + length > bytes.length) throw new Refused("The file is cut off or no graph.");
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const key = varint();
    const [id, wire] = [Math.floor(key / 8), key % 8];
    if (wire === 0) fields.push({ id, number: varint(), bytes: nothing });
    else if (wire === 1) fields.push({ id, number: 0, bytes: take(8) });
    else if (wire === 2) fields.push({ id, number: 0, bytes: take(varint()) });
    else if (wire === 5) fields.push({ id, number: 0, bytes: take(4) });
    else throw new Refused("The file is cut off or no graph.");
  }
  return fields;
}

const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes.subarray(0, 80));
