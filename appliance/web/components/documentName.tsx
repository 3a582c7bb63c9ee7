/** A document's name, its own part first to be seen: folders before it are quiet and give way. */
export function DocumentName({ name }: { name: string }) {
  const cut = name.lastIndexOf("/") + 1;
  return (
    <span className="document-name" title={name}>
      {cut > 0 && <span className="document-folder">{name.slice(0, cut)}</span>}
      <span className="document-base">{name.slice(cut)}</span>
    </span>
  );
}
