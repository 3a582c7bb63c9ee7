/** Where servers are declared: Nika's own file, the one other programs share, and drop-ins. Read whole, and again when one changes. */
import { readFileSync, readdirSync, watch, type FSWatcher } from "node:fs";
import { basename, dirname, join } from "node:path";
import { joinServers, parseServers, type ParsedServers } from "../../../convex/model/server.ts";

export type ConfigFiles = {
  /** All files, joined, the later ones winning: ours, the shared one, drop-ins by name. */
  read(): ParsedServers;
  /** Calls back a moment after something changed. */
  watch(changed: () => void): () => void;
};

/** Editors write a file in several steps. */
const settleMs = 150;
/** Nobody writes this much by hand, and all of it is parsed at once. */
const fileBytesMax = 1024 * 1024;

export function configFiles({ dataDir, sharedFile }: { readonly dataDir: string; readonly sharedFile: string }): ConfigFiles {
  const own = join(dataDir, "mcp-servers.json");
  const dropDir = join(dataDir, "mcp.d");
  const files = (): string[] => [own, sharedFile, ...dropIns(dropDir)];
  return {
    read: () => joinServers(files().map(readOne)),
    watch(changed) {
      let timer: NodeJS.Timeout | undefined;
      const soon = (): void => {
        clearTimeout(timer);
        timer = setTimeout(() => {
          // A drop-in folder may have come since.
          follow(dropDir, (name) => name.endsWith(".json"));
          changed();
        }, settleMs);
      };
      const watchers = new Map<string, FSWatcher>();
      // Folders, not files: editors put a new file in the old one's place.
      const follow = (dir: string, isOurs: (name: string) => boolean): void => {
        if (watchers.has(dir)) return;
        try {
          const watcher = watch(dir, { persistent: false }, (_event, name) => {
            if (name === null || isOurs(name)) soon();
          });
          watcher.on("error", () => {
            watcher.close();
            watchers.delete(dir);
          });
          watchers.set(dir, watcher);
        } catch {
          // It is not there; when it comes, its parent tells.
        }
      };
      const shared = basename(sharedFile);
      follow(
        dataDir,
        (name) => name === basename(own) || name === basename(dropDir) || (dirname(sharedFile) === dataDir && name === shared),
      );
      if (dirname(sharedFile) !== dataDir) follow(dirname(sharedFile), (name) => name === shared);
      follow(dropDir, (name) => name.endsWith(".json"));
      return () => {
        clearTimeout(timer);
        for (const watcher of watchers.values()) watcher.close();
      };
    },
  };
}

function dropIns(dir: string): string[] {
  try {
    return readdirSync(dir)
      .filter((name) => name.endsWith(".json") && !name.startsWith("."))
      .toSorted()
      .map((name) => join(dir, name));
  } catch {
    return [];
  }
}

function readOne(file: string): ParsedServers {
  const broken = (message: string): ParsedServers => ({
    servers: [],
    problems: [{ file, key: "", server: undefined, message }],
    off: [],
  });
  try {
    const text = readFileSync(file, "utf8");
    return text.length > fileBytesMax ? broken("It is larger than 1 MB.") : parseServers(text, file);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    // Having none is fine.
    if (code === "ENOENT" || code === "ENOTDIR") return { servers: [], problems: [], off: [] };
    return broken(`It cannot be read (${String(code)}).`);
  }
}
