/** The process that holds a CLIP model: started by clip.ts with the model's files as its argument, ends with its parent. */
import type { ClipFiles, ClipReply, ClipRequest } from "./clip.ts";

const files = JSON.parse(process.argv[2] ?? "{}") as ClipFiles;
/** Such models read 77 tokens; cutting here first saves the tokenizer the work. */
const charsMax = 1_000;

type Output = { data: Float32Array };
type Tokenizer = (texts: string[], options: { padding: boolean; truncation: boolean }) => Record<string, unknown>;
type Processor = (image: unknown) => Promise<Record<string, unknown>>;
type Model<K extends string> = (inputs: Record<string, unknown>) => Promise<Record<K, Output>>;

let loading: ReturnType<typeof load> | undefined;

async function load() {
  const { AutoProcessor, AutoTokenizer, CLIPTextModelWithProjection, CLIPVisionModelWithProjection, RawImage, env } =
    await import("@xenova/transformers");
  env.localModelPath = `${files.modelsDir}/`;
  env.allowRemoteModels = false;
  env.useFSCache = false;
  // One each: the library writes the name of the graph into what it is given.
  const options = (): { quantized: boolean } => ({ quantized: files.isQuantized });
  return {
    readImage: (png: Uint8Array): Promise<unknown> => RawImage.fromBlob(new Blob([Buffer.from(png)])),
    tokenize: (await AutoTokenizer.from_pretrained(files.name)) as unknown as Tokenizer,
    prepare: (await AutoProcessor.from_pretrained(files.name, {})) as unknown as Processor,
    embedText: (await CLIPTextModelWithProjection.from_pretrained(files.name, options())) as unknown as Model<"text_embeds">,
    embedImage: (await CLIPVisionModelWithProjection.from_pretrained(files.name, options())) as unknown as Model<"image_embeds">,
  };
}

async function embed(request: ClipRequest): Promise<Float32Array> {
  loading ??= load();
  const { readImage, tokenize, prepare, embedText, embedImage } = await loading;
  if ("text" in request) {
    const inputs = tokenize([request.text.slice(0, charsMax)], { padding: true, truncation: true });
    return Float32Array.from((await embedText(inputs)).text_embeds.data);
  }
  return Float32Array.from((await embedImage(await prepare(await readImage(request.png)))).image_embeds.data);
}

process.on("message", (request: ClipRequest) => {
  void embed(request).then(
    (answer) => send({ id: request.id, ok: true, answer }),
    (error: unknown) => send({ id: request.id, ok: false, message: error instanceof Error ? error.message : String(error) }),
  );
});
process.once("disconnect", () => process.exit(0));

function send(reply: ClipReply): void {
  process.send?.(reply);
}
