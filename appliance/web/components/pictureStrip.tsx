import type { CitedPicture, PictureSight } from "../../../convex/model/answer.ts";
import { useSpeech } from "../language/language.tsx";
import { toDocumentHref } from "../route.ts";
import { DocumentName } from "./documentName.tsx";

/** Pictures that bear on a question, side by side; each leads to its place in its document. */
export function PictureStrip({ pictures, sight }: { pictures: readonly CitedPicture[]; sight: PictureSight }) {
  const { ask } = useSpeech().words;
  if (pictures.length === 0) return null;
  return (
    <section className="section" aria-label={ask.pictures}>
      <h2>{ask.pictures}</h2>
      <ul className="picture-strip">
        {pictures.map((picture) => (
          <li key={picture.pictureId} data-testid="answer-picture">
            <Tile picture={picture} />
          </li>
        ))}
      </ul>
      <p className="fine">{howOf(sight, ask)}</p>
    </section>
  );
}

function Tile({ picture }: { picture: CitedPicture }) {
  const { ask, document: say } = useSpeech().words;
  const { pictureId, documentId, documentName, caption, page, passage, placeLabel, width, height } = picture;
  return (
    <a href={toDocumentHref(documentId, passage)}>
      <img src={`/pictures/${pictureId}`} alt={caption ?? ask.picture(placeLabel)} width={width} height={height} loading="lazy" />
      {caption !== undefined && <span className="picture-caption">{caption}</span>}
      <span className="fine">
        <DocumentName name={documentName} />
        {page !== undefined && ` · ${say.page(page)}`}
      </span>
    </a>
  );
}

type Say = ReturnType<typeof useSpeech>["words"]["ask"];

const howOf = ({ isInForce, seesMeaning, label }: PictureSight, ask: Say): string =>
  isInForce ? (seesMeaning ? ask.picturesBy(label) : ask.picturesDescriptor) : ask.picturesByWords;
