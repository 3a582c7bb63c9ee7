/** The app's modules as a test hands them over: import functions by path. Each is loaded when something first names it. */
import type { Validator } from "../codec/validator.ts";
import { canonicalPath, type FunctionEntry } from "../txn/functions.ts";

/** As `import.meta.glob("./**\/*.*s")` gives it. */
export type ModuleImports = Readonly<Record<string, () => Promise<unknown>>>;

export type Registered = Readonly<Record<string, unknown>> & {
  invokeQuery(args: string): Promise<string>;
  invokeMutation(args: string): Promise<string>;
  invokeAction(requestId: string, args: string): Promise<string>;
  invokeHttpAction(request: Request): Promise<Response>;
  exportArgs(): string;
  exportReturns(): string;
};

type Exports = Readonly<Record<string, Registered | undefined>>;

export type Modules = ReturnType<typeof openModules>;

export function openModules(imports: ModuleImports) {
  const byName = new Map(Object.entries(imports).map(([path, load]) => [path.replace(/\.[^./]+$/, ""), load]));
  const root = rootOf(Object.keys(imports));
  const entries = new Map<string, FunctionEntry>();
  const registered = new Map<string, Registered>();
  let inlineCount = 0;

  const add = (entry: FunctionEntry, one: Registered): FunctionEntry => {
    entries.set(entry.path, entry);
    registered.set(entry.path, one);
    return entry;
  };
  const importModule = async (name: string): Promise<Exports | undefined> =>
    (await byName.get(root + name)?.()) as Exports | undefined;

  return {
    /** Those loaded so far. */
    entries: entries as ReadonlyMap<string, FunctionEntry>,
    importModule,
    registered: (path: string) => registered.get(path) as Registered,
    /** Makes the functions of the module known that a path lies in. A module that is not there stays unknown. */
    async load(path: string): Promise<FunctionEntry | undefined> {
      const wanted = canonicalPath(path);
      const known = entries.get(wanted);
      if (known) return known;
      const module = wanted.slice(0, wanted.lastIndexOf(":"));
      for (const [name, one] of Object.entries((await importModule(module)) ?? {})) {
        const kind = kindOf(one);
        if (one && kind) add(toEntry(`${module}:${name}`, kind, one), one);
      }
      return entries.get(wanted);
    },
    /** A function written in the test itself. `drop` it when it has run. */
    addInline(kind: FunctionEntry["kind"], one: Registered): FunctionEntry {
      return add(
        { path: `${inlinePrefix}${++inlineCount}`, kind, visibility: "public", args: { type: "any" }, returns: null },
        one,
      );
    },
    drop(path: string): void {
      entries.delete(path);
      registered.delete(path);
    },
  };
}

const inlinePrefix = "inline:";

/** What a function is told it is called. */
export function shownName(path: string): string {
  return path.startsWith(inlinePrefix) ? "inline" : path.replace(/:default$/, "");
}

/** The folder that holds `_generated`, as every Convex project has it. */
function rootOf(paths: readonly string[]): string {
  const generated = paths.find((path) => path.includes("_generated"));
  if (generated === undefined)
    throw new Error(
      'The modules hold no "_generated" folder: give convexTest all files of the functions folder, as import.meta.glob("./**/*.*s") does.',
    );
  return generated.slice(0, generated.indexOf("_generated"));
}

function kindOf(one: Registered | undefined): FunctionEntry["kind"] | undefined {
  if (typeof one !== "function" && typeof one !== "object") return undefined;
  if (one?.["isQuery"] === true) return "query";
  if (one?.["isMutation"] === true) return "mutation";
  return one?.["isAction"] === true ? "action" : undefined;
}

function toEntry(path: string, kind: FunctionEntry["kind"], one: Registered): FunctionEntry {
  return {
    path,
    kind,
    visibility: one["isInternal"] === true ? "internal" : "public",
    args: JSON.parse(one.exportArgs()) as Validator,
    returns: JSON.parse(one.exportReturns()) as Validator | null,
  };
}
