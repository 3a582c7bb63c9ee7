/** The registries that are asked, as the owner set them: which, where, with which key. Nobody is asked that he did not turn on. */
import { NikaError } from "../../../convex/model/error.ts";
import type { Entry } from "../../../convex/model/entry.ts";
import type { RegistrySetting } from "../../../convex/model/registry.ts";
import { askJson } from "./ask.ts";
import { glama } from "./glama.ts";
import { mcpRegistry, type RegistryClient } from "./mcpRegistry.ts";
import type { Shelf, Shelved } from "./shelf.ts";
import { smithery } from "./smithery.ts";

export type SourcesOptions = {
  readonly settings: () => Promise<readonly RegistrySetting[]>;
  readonly secret: (name: string, reader: string) => Promise<string | undefined>;
  readonly shelf: Shelf;
};
export type Searched = {
  readonly found: readonly Shelved[];
  /** Registries that did not answer, and why; the others' answers stand all the same. */
  readonly problems: readonly { readonly source: string; readonly message: string }[];
  readonly asked: readonly string[];
};
export type Sources = {
  clientOf(setting: RegistrySetting): Promise<RegistryClient>;
  /** Of the copies on this machine, and of registries that are asked live. */
  search(
    words: string,
    wish: { readonly limit: number; readonly source?: string | undefined; readonly signal: AbortSignal },
  ): Promise<Searched>;
  /** Looks where it was copied, then asks. Undefined when no registry that is on knows it. */
  find(
    name: string,
    version: string | undefined,
    wish: { readonly source?: string | undefined; readonly signal: AbortSignal },
  ): Promise<Shelved | undefined>;
};

/** Under what a registry is copied: one that moved is another. */
export const shelfKey = ({ name, url }: Pick<RegistrySetting, "name" | "url">): string => `${name} ${url}`;
const nameOf = (key: string): string => key.split(" ", 1)[0] ?? key;

const clients = { mcp: mcpRegistry, smithery, glama } as const;

export function openSources({ settings, secret, shelf }: SourcesOptions): Sources {
  async function clientOf({ name, type, url, secret: key }: RegistrySetting): Promise<RegistryClient> {
    return clients[type](url, await secret(key ?? name, `registry ${name}`), askJson);
  }
  async function asked(source: string | undefined): Promise<readonly RegistrySetting[]> {
    const all = await settings();
    if (source === undefined) return all.filter(({ isOn }) => isOn);
    const one = all.find(({ name }) => name === source);
    if (!one) throw new NikaError("missing", `There is no registry "${source}"; see \`nika mcp registries\`.`);
    return [one];
  }
  /** One that was copied whole answers from here. */
  const isCopied = (one: RegistrySetting): boolean => one.type === "mcp" && shelf.mark(shelfKey(one)).since !== undefined;
  const here = (words: string, wanted: readonly RegistrySetting[], limit: number): Shelved[] =>
    shelf.search(words, { sources: wanted.map(shelfKey), limit }).map(({ source, entry }) => ({ source: nameOf(source), entry }));

  return {
    clientOf,
    async search(words, { limit, source, signal }) {
      const wanted = await asked(source);
      const found = here(words, wanted.filter(isCopied), limit);
      const problems: { source: string; message: string }[] = [];
      const live = await Promise.all(
        wanted
          .filter((one) => !isCopied(one))
          .map(async (setting) => {
            try {
              const page = await (await clientOf(setting)).page({ search: words, limit }, signal);
              return page.entries.map((entry): Shelved => ({ source: setting.name, entry }));
            } catch (error) {
              if (signal.aborted) throw error;
              problems.push({ source: setting.name, message: error instanceof Error ? error.message : String(error) });
              // Half a copy is better than nothing.
              return here(words, [setting], limit);
            }
          }),
      );
      return { found: [...found, ...live.flat()].slice(0, limit), problems, asked: wanted.map(({ name }) => name) };
    },
    async find(name, version, { source, signal }) {
      const problems: unknown[] = [];
      for (const setting of await asked(source)) {
        const copied = shelf.get(shelfKey(setting), name);
        if (copied && (version === undefined || copied.version === version)) return { source: setting.name, entry: copied };
        try {
          const entry: Entry | undefined = await (await clientOf(setting)).get(name, version, signal);
          if (entry) return { source: setting.name, entry };
        } catch (error) {
          if (signal.aborted) throw error;
          problems.push(error);
        }
      }
      if (problems.length > 0) throw problems[0];
      return undefined;
    },
  };
}
