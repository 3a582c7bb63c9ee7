/** The thread that embeds passages without a model. */
import { baselineEmbedder } from "../../ml/embed/baseline.ts";
import { serve } from "../threads/serve.ts";

const embedder = baselineEmbedder();

serve(
  (texts: readonly string[]) => embedder.embed(texts),
  (vectors) => vectors.map((vector) => vector.buffer as ArrayBuffer),
);
