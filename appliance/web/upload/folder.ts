import { isLitter, type PickedFile } from "./plan.ts";

/** The files of a drop, folders opened to the bottom. Entries must be taken from the event before it returns, hence the two steps. */
export function toPickedFiles(transfer: DataTransfer): Promise<PickedFile[]> {
  const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry());
  const files = [...transfer.files];
  return collect(entries, files);
}

/** The files of a file input. A folder input gives paths, a plain one gives names. */
export function fromFileList(list: FileList): PickedFile[] {
  return [...list].map((file) => ({ name: file.webkitRelativePath || file.name, file }));
}

async function collect(entries: readonly (FileSystemEntry | null)[], files: readonly File[]): Promise<PickedFile[]> {
  // Where the browser gives no entries, plain files are still files.
  if (entries.some((entry) => entry === null)) return files.map((file) => ({ name: file.name, file }));
  const found: PickedFile[] = [];
  const open = entries.filter((entry) => entry !== null).map((entry) => ({ entry, path: entry.name }));
  for (let next = open.shift(); next; next = open.shift()) {
    const { entry, path } = next;
    if (path.includes("/") && isLitter(path)) continue;
    if (isFile(entry)) found.push({ name: path, file: await fileOf(entry) });
    else if (isFolder(entry))
      for (const child of await childrenOf(entry)) open.push({ entry: child, path: `${path}/${child.name}` });
  }
  return found;
}

function isFile(entry: FileSystemEntry): entry is FileSystemFileEntry {
  return entry.isFile;
}

function isFolder(entry: FileSystemEntry): entry is FileSystemDirectoryEntry {
  return entry.isDirectory;
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

/** A reader gives a hundred at a time, and an empty list when there are no more. */
async function childrenOf(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const children: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return children;
    children.push(...some);
  }
}
