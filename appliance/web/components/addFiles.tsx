import { useRef } from "react";
import { useSpeech } from "../language/language.tsx";
import { fromFileList } from "../upload/folder.ts";
import { useUploads } from "../upload/uploadsProvider.tsx";
import { Icon } from "./icon.tsx";

/** The button that opens the device's own file chooser. */
export function AddFiles() {
  const { documents } = useSpeech().words;
  const { uploads } = useUploads();
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        data-testid="file-input"
        onChange={({ currentTarget }) => {
          if (currentTarget.files) uploads.add(fromFileList(currentTarget.files));
          currentTarget.value = ""; // So that the same file can be chosen again.
        }}
      />
      <button type="button" className="button primary" data-testid="add-files" onClick={() => input.current?.click()}>
        <Icon name="plus" />
        {documents.add}
      </button>
    </>
  );
}
