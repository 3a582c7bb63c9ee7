/** The process that embeds passages without a model. */
import { baselineEmbedder } from "../../ml/embed/baseline.ts";
import { serve } from "../processes/serve.ts";

const embedder = baselineEmbedder();

serve((texts: readonly string[]) => embedder.embed(texts));
