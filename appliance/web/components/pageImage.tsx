import { useState } from "react";
import type { Box } from "../../../convex/model/place.ts";
import { useSpeech } from "../language/language.tsx";

type Props = { readonly documentId: string; readonly page: number; readonly box?: Box | undefined };

const widthPx = 1_000;

/** A page as it looks, with the part that is meant under a stroke of marker. */
export function PageImage({ documentId, page, box }: Props) {
  const { document: words } = useSpeech().words;
  const [hasFailed, setFailed] = useState(false);
  const [isThere, setThere] = useState(false);
  if (hasFailed) return <p className="fine">{words.noPage}</p>;
  const percent = (share: number): string => `${100 * share}%`;
  return (
    <figure className="page-image" data-testid="page-image">
      <img
        src={`/pages/${documentId}/${page}?width=${widthPx}`}
        alt={words.page(page)}
        loading="lazy"
        onLoad={() => setThere(true)}
        onError={() => setFailed(true)}
      />
      {box && isThere && (
        <span
          className="page-box"
          style={{
            insetInlineStart: percent(box.left),
            insetBlockStart: percent(box.top),
            inlineSize: percent(box.width),
            blockSize: percent(box.height),
          }}
        />
      )}
    </figure>
  );
}
