/** Deeper folders say little and push the file's own name off the line. */
const foldersMax = 2;

/** A document's name, its own part in bold after the folders it lies in. The whole path is the title. */
export function DocumentName({ name }: { name: string }) {
  const parts = name.split("/");
  const base = parts.pop() ?? name;
  const folders = parts.length > foldersMax ? ["…", ...parts.slice(-foldersMax)] : parts;
  return (
    <span className="document-name" title={name}>
      {folders.length > 0 && <span className="document-folder">{folders.join("/")}/</span>}
      <span>{base}</span>
    </span>
  );
}
