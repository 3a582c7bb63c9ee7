/** Finding and installing servers, as a whole: registries and their copies, packages, and what the owner asks of them by page and command line. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { internal } from "../../../convex/_generated/api.js";
import { NikaError } from "../../../convex/model/error.ts";
import { pickOffer, type Entry } from "../../../convex/model/entry.ts";
import type { FoundServer, FoundServers } from "../../../convex/model/install.ts";
import type { Servers } from "../../../functions/ports/servers.ts";
import type { Secrets } from "../../../functions/ports/secrets.ts";
import type { State } from "../../../functions/ports/state.ts";
import { keep, type ServerLock } from "../pool/kept.ts";
import type { Launcher } from "../pool/launch.ts";
import { retryAfterOf } from "./ask.ts";
import { dropInFile, removeDropIn } from "./dropIn.ts";
import { openInstaller, type Ground } from "./install.ts";
import { mirrorRegistry } from "./mirror.ts";
import { openNpm } from "./npm.ts";
import type { Packages } from "./packages.ts";
import type { Variables } from "./program.ts";
import { openPypi } from "./pypi.ts";
import { namedHere, serveRegistry, type Withdrawn } from "./serve.ts";
import { openShelf, type Shelf } from "./shelf.ts";
import { openSources, shelfKey } from "./sources.ts";

export type DiscoverOptions = {
  readonly dataDir: string;
  readonly version: string;
  readonly state: Pick<State, "query" | "mutation">;
  readonly secrets: Pick<Secrets, "find">;
  readonly variables: Variables;
  readonly packages: Packages;
  readonly launcher: Launcher;
  readonly ground: Ground;
  readonly log: (line: string) => void;
  readonly now: () => number;
};

export type Discover = {
  /** What the owner asks under /nika/mcp/; undefined for a verb that is none of these. */
  answer(verb: string, body: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<object> | undefined;
  /** The answer of Nika's own registry. */
  serve(url: URL): object;
  /** Removes what was installed under this name, files and all; undefined when it was not installed. The file that declared it, otherwise. */
  remove(alias: string, lock: ServerLock | undefined): string | undefined;
  readonly port: Servers;
  close(): void;
};

const limitMax = 100;
const withdrawnKept = 1_000;

/** Asks nobody anything by itself. */
export function openDiscover(options: DiscoverOptions): Discover {
  const { dataDir, version, state, secrets, variables, packages, launcher, ground, log, now } = options;
  // Most starts never look into it.
  let opened: Shelf | undefined;
  const shelfFile = join(dataDir, "mcp", "registries.sqlite");
  const shelf = new Proxy({} as Shelf, { get: (_target, key) => Reflect.get((opened ??= openShelf(shelfFile)), key) as unknown });
  const withdrawn = keep<Withdrawn>(join(dataDir, "mcp", "withdrawn.json"), log);
  const settings = () => state.query(internal.registries.known, {});
  const sources = openSources({ settings, secret: (name, reader) => secrets.find(name, reader), shelf });
  const installer = openInstaller({
    dataDir,
    version,
    sources,
    shelf,
    npm: openNpm({ dataDir, variables }),
    pypi: openPypi({ dataDir, variables }),
    packages,
    launcher,
    ground,
    hasSecret: async (name) => (await secrets.find(name, "mcp install")) !== undefined,
    now,
  });

  function toFound({ source, entry }: { readonly source: string; readonly entry: Entry }): FoundServer {
    const { name, title, description, version: newest, status, repository, website } = entry;
    const offer = pickOffer(entry);
    const alias = Object.entries(ground.locks()).find(([, { installed }]) => installed?.entry.name === name)?.[0];
    return {
      source,
      name,
      description: description.slice(0, 500),
      version: newest,
      status,
      ...(title !== undefined && { title }),
      ...(repository !== undefined && { repository }),
      ...(website !== undefined && { website }),
      ...(offer && { offer: offer.type === "remote" ? offer.of.type : offer.of.type }),
      ...(alias !== undefined && { alias }),
    };
  }

  const textIn = (body: Readonly<Record<string, unknown>>, key: string, charsMax = 300): string | undefined => {
    const value = body[key];
    if (value === undefined) return undefined;
    if (typeof value !== "string" || value.length > charsMax)
      throw new NikaError("invalid", `"${key}" must be a text of at most ${charsMax} characters.`);
    return value;
  };

  async function search(body: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<FoundServers> {
    const limit = body["limit"] === undefined ? 20 : Number(body["limit"]);
    if (!Number.isInteger(limit) || limit < 1 || limit > limitMax)
      throw new NikaError("invalid", `The limit is a number from 1 to ${limitMax}.`);
    const source = textIn(body, "registry");
    // Who searches wants to be answered: that is the first question to anybody outside.
    const isFirst = source === undefined && (await state.mutation(internal.registries.beginUse, {}));
    const { found, problems, asked } = await sources.search(textIn(body, "words") ?? "", { limit, source, signal });
    return { servers: found.map(toFound), problems, asked, isFirst };
  }

  return {
    answer(verb, body, signal) {
      if (verb === "search") return search(body, signal);
      if (verb !== "info") return undefined;
      const [name, wanted, registry, alias] = [
        textIn(body, "name"),
        textIn(body, "version"),
        textIn(body, "registry"),
        textIn(body, "alias"),
      ];
      if (name === undefined || name === "") throw new NikaError("invalid", "Say which, by its name.");
      const offer = body["offer"] === "remote" || body["offer"] === "package" ? body["offer"] : undefined;
      return installer.info(
        {
          name,
          ...(wanted !== undefined && { version: wanted }),
          ...(registry !== undefined && { registry }),
          ...(alias !== undefined && { alias }),
          ...(offer !== undefined && { offer }),
        },
        signal,
      );
    },
    serve: (url) => serveRegistry(url, { locks: ground.locks, withdrawn: () => withdrawn.value }),
    remove(alias, lock) {
      const file = dropInFile(dataDir, alias);
      if (!lock?.installed || !existsSync(file)) return undefined;
      removeDropIn(file);
      const entry = namedHere(lock.installed.entry, alias);
      withdrawn.value = Object.fromEntries([
        ...Object.entries(withdrawn.value).slice(1 - withdrawnKept),
        [entry.name, { entry, at: now() }],
      ]);
      withdrawn.save();
      return file;
    },
    port: {
      install: (wish, told) => installer.install(wish, told),
      async copy(registry, { signal, progress }) {
        const client = await sources.clientOf(registry);
        const source = shelfKey(registry);
        await mirrorRegistry({ source, client, shelf, signal, now, progress });
        return { servers: shelf.count(source) };
      },
      retryAfterOf,
      retain: (registries) => shelf.retain(registries.map(shelfKey)),
    },
    close: () => opened?.close(),
  };
}
