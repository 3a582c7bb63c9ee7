/** The process that holds the model: started by neural.ts with the model's files as its argument, ends with its parent. */
import type { NeuralReply, NeuralRequest } from "./neural.ts";
import type { ModelFiles } from "./model.ts";

const model = JSON.parse(process.argv[2] ?? "{}") as ModelFiles;
/** bge-small reads 512 tokens; longer texts are cut by its tokenizer, and cutting here first saves it the work. */
const charsMax = 4_000;

type Extractor = (
  texts: string[],
  options: { pooling: "cls"; normalize: boolean },
) => Promise<{ data: Float32Array; dims: number[] }>;

let loading: Promise<Extractor> | undefined;

async function load(): Promise<Extractor> {
  const { env, pipeline } = await import("@xenova/transformers");
  env.localModelPath = `${model.modelsDir}/`;
  env.cacheDir = model.modelsDir;
  env.allowRemoteModels = model.isDownload;
  env.useFSCache = model.isDownload;
  return (await pipeline("feature-extraction", model.name, { quantized: model.isQuantized })) as unknown as Extractor;
}

async function embed(texts: readonly string[]): Promise<{ dimensions: number; vectors: Float32Array }> {
  loading ??= load();
  const extract = await loading;
  // The model's own summary token, as its card says; a text of nothing would give no direction, a full stop does.
  const { data, dims } = await extract(
    texts.map((text) => (/\S/u.test(text) ? text.slice(0, charsMax) : ".")),
    { pooling: "cls", normalize: true },
  );
  if (!data.every(Number.isFinite)) throw new Error("the model gave numbers that are none");
  return { dimensions: dims.at(-1) ?? 0, vectors: Float32Array.from(data) };
}

process.on("message", ({ id, texts }: NeuralRequest) => {
  void embed(texts).then(
    (result) => send({ id, ok: true, ...result }),
    (error: unknown) => send({ id, ok: false, message: error instanceof Error ? error.message : String(error) }),
  );
});
process.once("disconnect", () => process.exit(0));

function send(reply: NeuralReply): void {
  process.send?.(reply);
}
