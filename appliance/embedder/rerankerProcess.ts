/** The process that holds the cross-encoder: started by reranker.ts with the model's files as its argument, ends with its parent. */
import type { ModelFiles } from "./model.ts";
import type { RerankReply, RerankRequest } from "./reranker.ts";

const model = JSON.parse(process.argv[2] ?? "{}") as ModelFiles;
/** Such models read 512 tokens; cutting here first saves the tokenizer the work. */
const charsMax = 3_000;

type Tokenizer = (
  questions: string[],
  options: { text_pair: string[]; padding: boolean; truncation: boolean },
) => Record<string, unknown>;
type Classifier = (inputs: Record<string, unknown>) => Promise<{ logits: { data: Float32Array; dims: number[] } }>;

let loading: Promise<{ tokenize: Tokenizer; classify: Classifier }> | undefined;

async function load(): Promise<{ tokenize: Tokenizer; classify: Classifier }> {
  const { AutoModelForSequenceClassification, AutoTokenizer, env } = await import("@xenova/transformers");
  env.localModelPath = `${model.modelsDir}/`;
  env.allowRemoteModels = false;
  env.useFSCache = false;
  return {
    tokenize: (await AutoTokenizer.from_pretrained(model.name)) as unknown as Tokenizer,
    classify: (await AutoModelForSequenceClassification.from_pretrained(model.name, {
      quantized: model.isQuantized,
    })) as unknown as Classifier,
  };
}

async function score({ question, texts }: RerankRequest): Promise<number[]> {
  loading ??= load();
  const { tokenize, classify } = await loading;
  const cut = texts.map((text) => text.slice(0, charsMax));
  const inputs = tokenize(
    cut.map(() => question),
    { text_pair: cut, padding: true, truncation: true },
  );
  const { logits } = await classify(inputs);
  // One number a pair; of models with two classes the last one is "relevant".
  const classes = logits.dims.at(-1) ?? 1;
  const scores = texts.map((_, at) => logits.data[at * classes + classes - 1] ?? Number.NaN);
  if (!scores.every(Number.isFinite)) throw new Error("the model gave numbers that are none");
  return scores;
}

process.on("message", (request: RerankRequest) => {
  void score(request).then(
    (answer) => send({ id: request.id, ok: true, answer }),
    (error: unknown) => send({ id: request.id, ok: false, message: error instanceof Error ? error.message : String(error) }),
  );
});
process.once("disconnect", () => process.exit(0));

function send(reply: RerankReply): void {
  process.send?.(reply);
}
