import type { Box } from "../../convex/model/place.ts";

/** A picture as it is sent to a model. */
export type VisionImage = { readonly bytes: Uint8Array; readonly mediaType: "image/png" | "image/webp" | "image/jpeg" };

/** A part of the picture the model told the place of, as Markdown. */
export type VisionBlock = { readonly text: string; readonly box: Box };

/** What a model saw. `isCut` when it stopped in the middle; `blocks` only from models that tell places. */
export type VisionReading =
  | { readonly type: "read"; readonly markdown: string; readonly blocks?: readonly VisionBlock[]; readonly isCut: boolean }
  /** It would not look at this picture. */
  | { readonly type: "refused"; readonly reason: string };

/** A model that reads pictures: text and tables as Markdown, in the picture's own language. */
export type VisionModel = {
  /** For the owner: "claude (claude-sonnet-4-5)". */
  readonly label: string;
  /**
   * Fails with `cancelled`; `unavailable` when it does not answer, is overloaded, asks to slow down or answers what cannot be understood;
   * `denied` when the key is not taken; `invalid` when the request is.
   */
  read(image: VisionImage, signal: AbortSignal): Promise<VisionReading>;
};
