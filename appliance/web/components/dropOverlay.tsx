import { useEffect, useState } from "react";
import { useSpeech } from "../language/language.tsx";
import { toPickedFiles } from "../upload/folder.ts";
import { useUploads } from "../upload/uploadsProvider.tsx";
import { useAttempt } from "./notice.tsx";
import { Icon } from "./icon.tsx";

/** Makes the whole page a place to drop files on, and shows that it is one while files hover over it. */
export function DropOverlay() {
  const { documents } = useSpeech().words;
  const { uploads } = useUploads();
  const attempt = useAttempt();
  const [isOver, setOver] = useState(false);

  useEffect(() => {
    const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") === true;
    const over = (event: DragEvent): void => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setOver(true);
    };
    const leave = (event: DragEvent): void => {
      if (event.relatedTarget === null) setOver(false);
    };
    const drop = (event: DragEvent): void => {
      setOver(false);
      const transfer = event.dataTransfer;
      if (!transfer || !hasFiles(event)) return;
      event.preventDefault();
      window.location.hash = "documents";
      attempt(async () => uploads.add(await toPickedFiles(transfer)));
    };
    window.addEventListener("dragover", over);
    window.addEventListener("dragleave", leave);
    window.addEventListener("drop", drop);
    return () => {
      window.removeEventListener("dragover", over);
      window.removeEventListener("dragleave", leave);
      window.removeEventListener("drop", drop);
    };
  }, [uploads, attempt]);

  if (!isOver) return null;
  return (
    <div className="drop-overlay" aria-hidden="true">
      <div className="drop-target">
        <Icon name="drop" />
        <strong>{documents.drop}</strong>
        <span>{documents.dropNote}</span>
      </div>
    </div>
  );
}
