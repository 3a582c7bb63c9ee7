import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { randomBase, toBase } from "../../../../ml/train/lora/base.ts";
import { refuseGraph } from "../../../../ml/train/lora/graph.ts";
import { payloadFiles, payloadFormat } from "../../../../ml/train/lora/pack.ts";
import { refuseServed, toTuned } from "../../../../ml/train/lora/result.ts";
import { madeBack } from "./back.ts";

const base = randomBase(["where is the invoice for the roof", "the paper of the garage"]);
const good = madeBack(base, { seed: 3 });
const sent = { base, seed: 3 };

type Change = NonNullable<Parameters<typeof madeBack>[1]["change"]>;
const spoilt = (change: Change): Map<string, Uint8Array> => madeBack(base, { seed: 3, change });
const refusal = (read: ReadonlyMap<string, Uint8Array>): { code: string; message: string } => {
  try {
    toTuned(read, sent);
  } catch (error) {
    return error as { code: string; message: string };
  }
  return assert.fail("It was taken.");
};

test("what came back whole is read, with the base's own words beside the graph in bytes", () => {
  const tuned = toTuned(good, sent);
  assert.deepEqual(
    [...tuned.files.keys()],
    ["config.json", "tokenizer.json", "tokenizer_config.json", "onnx/model_quantized.onnx"],
  );
  assert.equal(tuned.files.get("tokenizer.json"), base.files.get("tokenizer.json"));
  assert.deepEqual([tuned.losses, tuned.bestEpoch, tuned.isQuantized, tuned.device], [[3, 2], 2, true, "cpu"]);
  assert.equal(toTuned(good, sent).sha256, tuned.sha256);
});

test("a graph that lost too much in bytes is served whole", () => {
  const lossy = spoilt((_, parity) => {
    const vectors = parity["vectors"] as { whole: number[][]; quantised: number[][] };
    vectors.quantised = vectors.whole.map((vector) => {
      const turned = vector.map((value, at) => value + (at === 0 ? 0.3 : 0));
      const length = Math.hypot(...turned);
      return turned.map((value) => value / length);
    });
  });
  const tuned = toTuned(lossy, sent);
  assert.equal(tuned.isQuantized, false);
  assert.ok(tuned.files.has("onnx/model.onnx") && !tuned.files.has("onnx/model_quantized.onnx"));
});

test("what is missing, changed, cut off, of another job or not a number is refused, and said", () => {
  const without = (path: string) => new Map([...good].filter(([name]) => name !== path));
  const other = (path: string, bytes: Uint8Array) => new Map([...good, [path, bytes]]);
  const graph = good.get("onnx/model.onnx")!;
  const cases: readonly (readonly [ReadonlyMap<string, Uint8Array>, RegExp])[] = [
    [without("result.json"), /result\.json is missing/],
    [without("onnx/model_quantized.onnx"), /model_quantized\.onnx is missing/],
    [other("result.json", new TextEncoder().encode("{")), /no JSON/],
    [other("onnx/model.onnx", graph.subarray(0, graph.length - 9)), /is not what result\.json says/],
    [spoilt((result) => (result["seed"] = 4)), /another seed/],
    [spoilt((result) => (result["format"] = 0)), /another format/],
    [spoilt((result) => (result["steps"] = [])), /no step/],
    [spoilt((result) => (result["steps"] = [{ loss: null }])), /a loss is no number/],
    [spoilt((_, parity) => (parity["maxAbsDifference"] = 0.002)), /differs from what was trained by 0\.002/],
    [spoilt((_, parity) => (parity["maxAbsDifference"] = Number.NaN)), /is no number/],
    [spoilt((_, parity) => (parity["vectors"] as { whole: number[][] }).whole.pop()), /6 vectors of 7 probes/],
    [
      spoilt((_, parity) => {
        const vectors = parity["vectors"] as { whole: number[][] };
        vectors.whole = vectors.whole.map(() => vectors.whole[0]!);
      }),
      /every text has the same vector/,
    ],
  ];
  for (const [read, says] of cases) {
    const { code, message } = refusal(read);
    assert.equal(code, "invalid");
    assert.match(message, says);
    assert.match(message, /^What came back from training is not usable: /);
  }
});

test("a tokenizer that is not the base's any more is refused", () => {
  const otherBase = { ...base, files: new Map([...base.files, ["tokenizer.json", new TextEncoder().encode("{}")]]) };
  assert.throws(() => toTuned(good, { base: otherBase, seed: 3 }), /tokenizer\.json is not the base's any more/);
});

test("what is served otherwise than where it was made is refused", () => {
  const tuned = toTuned(good, sent);
  refuseServed(0.995, tuned);
  assert.throws(() => refuseServed(0.9, tuned), /gives other vectors/);
  assert.throws(() => refuseServed(Number.NaN, tuned), /gives other vectors/);
  assert.throws(() => refuseServed(0.995, { ...tuned, isQuantized: false }), /gives other vectors/);
});

/** A message of protocol buffers, by field. */
function message(...fields: readonly (readonly [id: number, value: number | string | Uint8Array])[]): Uint8Array {
  const varint = (value: number): number[] => (value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))]);
  return Uint8Array.from(
    fields.flatMap(([id, value]) => {
      if (typeof value === "number") return [...varint(id * 8), ...varint(value)];
      const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
      return [...varint(id * 8 + 2), ...varint(bytes.length), ...bytes];
    }),
  );
}

type Nodes = readonly (readonly [id: number, value: Uint8Array])[];
const graphOf = (nodes: Nodes, more: Nodes = [], ir = 8): Uint8Array =>
  message(
    [1, ir],
    [8, message([1, ""], [2, 17])],
    [
      7,
      message(
        ...nodes,
        [11, message([1, "input_ids"])],
        [11, message([1, "attention_mask"])],
        [12, message([1, "last_hidden_state"])],
      ),
    ],
    ...more,
  );

test("graphs may hold known operators and their own numbers, and nothing else", () => {
  const node = (operator: string, ...more: readonly (readonly [number, string | Uint8Array])[]) =>
    [1, message([4, operator], ...more)] as const;
  assert.equal(refuseGraph(graphOf([node("MatMul"), node("Softmax")])), undefined);
  assert.equal(refuseGraph(good.get("onnx/model.onnx")!), undefined);
  const cases: readonly (readonly [Uint8Array, RegExp])[] = [
    [graphOf([node("Loop")]), /operator Loop/],
    [graphOf([node("MatMul", [7, "com.microsoft"])]), /operator of com\.microsoft/],
    [graphOf([node("Constant", [5, message([6, message()])])]), /holds another one/],
    [graphOf([node("Constant", [5, message([5, message([13, message([1, "location"])])])])]), /from another file/],
    [graphOf([[5, message([14, 1])]]), /from another file/],
    [graphOf([node("MatMul")], [[25, message()]]), /functions of its own/],
    [graphOf([node("MatMul")], [[8, message([1, "com.evil"], [2, 1])]]), /operators of com\.evil/],
    [graphOf([node("MatMul")], [[8, message([2, 19])]]), /opset 19/],
    [graphOf([node("MatMul")], [], 9), /IR 9/],
    [graphOf([[12, message([1, "second"])]]), /does not turn/],
    [graphOf([node("MatMul")]).subarray(0, 40), /cut off/],
    [new TextEncoder().encode("\x80\x04pickle"), /cut off or no graph/],
    [new Uint8Array(), /no graph/],
  ];
  for (const [bytes, says] of cases) assert.match(refuseGraph(bytes) ?? "", says);
});

test("bases that could not be served are refused before anything is sent", () => {
  const files = (config: object, pooling?: object) =>
    new Map(
      Object.entries({
        "config.json": config,
        "tokenizer.json": {},
        "tokenizer_config.json": {},
        ...(pooling && { "1_Pooling/config.json": pooling }),
      }).map(([path, value]) => [path, new TextEncoder().encode(JSON.stringify(value))]),
    );
  const bert = { model_type: "bert", hidden_size: 384 };
  assert.equal(toBase("a", files(bert)).pooling, "cls");
  assert.equal(toBase("a", files(bert, { pooling_mode_mean_tokens: true })).pooling, "mean");
  assert.throws(() => toBase("a", files({ ...bert, hidden_size: 768 })), /vectors of 768 numbers; it takes 384/);
  assert.throws(() => toBase("a", files({ model_type: "llama" })), /of type llama/);
  assert.throws(() => toBase("a", new Map()), /lacks config\.json/);
  assert.throws(() => toBase("a", new Map([...files(bert), ["config.json", new Uint8Array([0x7b])]])), /no JSON/);
});

const payload = new URL("../../../../ml/train/lora/payload/", import.meta.url);
const hasPython = spawnSync("python3", ["--version"]).status === 0;

test(
  "the payload is Python that parses, reads the format that is packed, and pins every library",
  { skip: !hasPython && "no python3 here" },
  () => {
    const paths = payloadFiles.map((name) => fileURLToPath(new URL(name, payload)));
    const parse = "import ast, sys\nfor path in sys.argv[1:]: ast.parse(open(path, encoding='utf-8').read(), path)";
    const { status, stderr } = spawnSync("python3", ["-c", parse, ...paths.filter((path) => path.endsWith(".py"))]);
    assert.equal(status, 0, stderr.toString());
    assert.match(readFileSync(new URL("job.py", payload), "utf8"), new RegExp(`^FORMAT = ${payloadFormat}$`, "m"));
    const pins = readFileSync(new URL("requirements.txt", payload), "utf8")
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"));
    for (const pin of pins) assert.match(pin, /^[\w.-]+==[\w.]+$/);
  },
);
