/** The process that looks at pictures: decoding bytes from anywhere is for a place that may do nothing else. */
import { visualDescriptor } from "../../ml/embed/visual.ts";
import { open } from "../../ml/parse/picture/pixels.ts";
import { serve } from "../processes/serve.ts";
import type { LookReply, LookRequest } from "./look.ts";

const descriptor = visualDescriptor();

serve(async (request: LookRequest, bytes: Uint8Array): Promise<LookReply> => {
  try {
    if (request.type === "describe") {
      const { words, isQuestion } = request;
      return { vector: await (isQuestion ? descriptor.like(bytes, words) : descriptor.image(bytes, words)) };
    }
    const chain = (await open(bytes)).rotate().flatten({ background: "#ffffff" }).removeAlpha();
    const small = chain.resize({ width: request.sideMax, height: request.sideMax, fit: "inside", withoutEnlargement: true });
    return { png: new Uint8Array(await small.png({ compressionLevel: 6 }).toBuffer()) };
  } catch {
    // Broken, of more pixels than are decoded, or of a type that is not read: it is found by its words.
    return {};
  }
});
