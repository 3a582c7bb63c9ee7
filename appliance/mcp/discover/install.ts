/**
 * From a name to a server that waits for its owner's word: resolve, warn, fetch outside of any sandbox without running anything, verify, list in a
 * sandbox without network, lock, declare. An upgrade goes the same way beside the old one, which serves until the new one is listed.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { NikaError, toNikaError } from "../../../convex/model/error.ts";
import {
  aliasOf,
  inputsOf,
  isInstallable,
  pickOffer,
  secretNameOf,
  type Entry,
  type Offer,
} from "../../../convex/model/entry.ts";
import type { InstallResult, InstallStep, InstallWish, ServerInfo } from "../../../convex/model/install.ts";
import type { Warning } from "../../../convex/model/lookalike.ts";
import { aliasCharsMax, toAlias, type ServerConfig } from "../../../convex/model/server.ts";
import { lint } from "../../../convex/model/tool.ts";
import type { Installed, InstalledWish, Listing, PackagePin, ServerLock } from "../pool/kept.ts";
import type { Launcher } from "../pool/launch.ts";
import { dropInFile, isTurnedOff, toDropIn, writeDropIn } from "./dropIn.ts";
import { hostsNamed } from "./hosts.ts";
import { recordOf, textOf } from "./json.ts";
import { isNpmName, type Npm } from "./npm.ts";
import type { Packages } from "./packages.ts";
import { pypiProgram, type Pypi } from "./pypi.ts";
import type { Shelf } from "./shelf.ts";
import type { Sources } from "./sources.ts";
import { listApart } from "./trial.ts";
import { warningsOf, type Found } from "./warn.ts";

/** What the pool has to do with it. */
export type Ground = {
  locks(): Readonly<Record<string, ServerLock>>;
  /** Names that are declared, also those that are turned off or broken. */
  names(): readonly string[];
  /** Remembers where it came from, and what it offered when it was tried. */
  adopt(
    server: string,
    installed: Installed,
    listed: { readonly config: ServerConfig; readonly listing: Omit<Listing, "hash" | "listedAt" | "eraAt"> } | undefined,
  ): void;
  /** Looks at the files, and resolves when every server was looked at. */
  reload(): Promise<void>;
  standing(
    server: string,
  ):
    | { readonly waiting: number; readonly marked: number; readonly tools: number; readonly problem: string | undefined }
    | undefined;
};

export type InstallerOptions = {
  readonly dataDir: string;
  readonly version: string;
  readonly sources: Sources;
  readonly shelf: Shelf;
  readonly npm: Npm;
  readonly pypi: Pypi;
  readonly packages: Packages;
  readonly launcher: Launcher;
  readonly ground: Ground;
  readonly hasSecret: (name: string) => Promise<boolean>;
  readonly now: () => number;
};

type Named = Pick<InstallWish, "name" | "version" | "registry" | "alias" | "offer">;
export type Installer = {
  info(wish: Named, signal: AbortSignal): Promise<ServerInfo>;
  install(
    wish: InstallWish,
    told: { readonly signal: AbortSignal; readonly step: (step: InstallStep, note: string) => void },
  ): Promise<InstallResult>;
};

type Resolved = {
  readonly source: string;
  readonly entry: Entry;
  readonly isDirect: boolean;
  readonly offer: Offer;
  readonly found: Found | undefined;
  readonly alias: string;
  readonly before: Installed | undefined;
};

export function openInstaller(options: InstallerOptions): Installer {
  const { dataDir, version: nika, sources, shelf, npm, pypi, packages, launcher, ground, hasSecret, now } = options;

  async function entryOf(
    { name: given, version, registry }: Named,
    signal: AbortSignal,
  ): Promise<Pick<Resolved, "source" | "entry" | "isDirect">> {
    // What is here already may be called by the name it has here.
    const name = registry === undefined ? (ground.locks()[given]?.installed?.entry.name ?? given) : given;
    const [, direct, rest = name] = /^(npm|pypi):(.+)$/.exec(name) ?? [];
    if (direct === "npm" || direct === "pypi") return { source: direct, entry: bareEntry(direct, rest, version), isDirect: true };
    const known =
      registry === undefined
        ? Object.values(ground.locks()).find(({ installed }) => installed?.entry.name === name)?.installed
        : undefined;
    if (known && (known.source === "npm" || known.source === "pypi"))
      return {
        source: known.source,
        entry: bareEntry(known.source, known.entry.packages[0]?.identifier ?? name, version),
        isDirect: true,
      };
    const found = await sources.find(name, version, { source: registry ?? known?.source, signal });
    if (found && found.entry.status !== "deleted") {
      const { entry, source } = found;
      if (entry.packages.length > 0 || entry.remotes.length > 0) return { source, entry, isDirect: false };
      // A directory of repositories: what lives there may be known elsewhere.
      const twin =
        entry.repository === undefined ? undefined : shelf.inRepository(entry.repository).find((one) => pickOffer(one.entry));
      if (twin) return { ...twin, isDirect: false };
      throw new NikaError(
        "missing",
        `"${source}" knows ${name}, and not how to install it${entry.repository === undefined ? "" : `; its code is at ${entry.repository}`}. If it is an npm package, say so: \`nika mcp install npm:NAME\`.`,
      );
    }
    if (registry === undefined && isNpmName(name) && !/^[a-z]+(?:\.[\w-]+)+\//i.test(name))
      return { source: "npm", entry: bareEntry("npm", name, version), isDirect: true };
    throw new NikaError(
      "missing",
      `No registry that is turned on knows "${name}"${version === undefined ? "" : ` ${version}`}; look with \`nika mcp search\`, and at \`nika mcp registries\`.`,
    );
  }

  async function resolve(wish: Named, signal: AbortSignal): Promise<Resolved> {
    const { source, entry: raw, isDirect } = await entryOf(wish, signal);
    const offer = pickOffer(
      isDirect ? { ...raw, packages: raw.packages.map((one) => ({ ...one, version: one.version || "latest" })) } : raw,
      wish.offer,
    );
    if (!offer) {
      const types = [...new Set(raw.packages.map(({ type }) => type).filter((type) => !isInstallable(type)))];
      throw new NikaError(
        "invalid",
        types.length > 0
          ? `${raw.name} comes as ${types.join(", ")}, which Nika does not install; it takes npm and Python packages, and servers elsewhere.`
          : `${raw.name} says nothing that could be installed${wish.offer === undefined ? "" : ` as a ${wish.offer}`}.`,
      );
    }
    const locks = ground.locks();
    const own = Object.entries(locks).find(([, { installed }]) => installed?.entry.name === raw.name);
    const alias = toAlias(wish.alias ?? own?.[0] ?? freeAlias(aliasOf(raw.name)));
    if (alias === undefined)
      throw new NikaError("invalid", `"${wish.alias}" cannot be part of a tool's name; use 1 to 20 letters, digits and hyphens.`);
    const before = locks[alias]?.installed;
    if (ground.names().includes(alias) && before?.entry.name !== raw.name)
      throw new NikaError(
        "conflict",
        `There is another server named "${alias}" here; give this one another name with --as NAME.`,
      );
    const found = await factsOf(offer, signal);
    const version = isDirect ? (found?.facts.version ?? raw.version) : raw.version;
    const entry: Entry = { ...raw, version, ...(isDirect && { packages: raw.packages.map((one) => ({ ...one, version })) }) };
    return { source, entry, isDirect, offer, found, alias, before };
  }

  /** The first of `name`, `name-2`, … that nobody has. */
  function freeAlias(name: string): string {
    const taken = new Set(ground.names());
    for (let count = 1; ; count++) {
      const tail = count === 1 ? "" : `-${count}`;
      const alias = `${name.slice(0, aliasCharsMax - tail.length).replace(/-+$/, "")}${tail}`;
      if (!taken.has(alias)) return alias;
    }
  }

  async function factsOf(offer: Offer, signal: AbortSignal): Promise<Found | undefined> {
    if (offer.type === "remote") return undefined;
    const { type, identifier, version, sha256 } = offer.of;
    const exact = version === "latest" ? undefined : version;
    if (type === "npm") return { type, facts: await npm.facts(identifier, exact, signal) };
    const facts = await pypi.facts(identifier, exact, signal);
    if (sha256 !== undefined && sha256 !== facts.sha256)
      throw new NikaError(
        "denied",
        `${identifier} ${version} is not the file that its registry entry names; it was not installed.`,
      );
    return { type: "pypi", facts };
  }

  function warningsFor({ entry, isDirect, found, before }: Resolved): Warning[] {
    const installed = Object.values(ground.locks()).flatMap(({ installed: one }) =>
      one ? [one.entry.name, ...(one.package ? [one.package.name] : [])] : [],
    );
    return warningsOf({
      entry: isDirect ? undefined : entry,
      found,
      installed,
      likenesses: found ? shelf.likenesses(found.facts.name) : [],
      before: before?.package,
      now: now(),
    });
  }

  async function fetched({ found, before }: Resolved, signal: AbortSignal, step: (step: InstallStep, note: string) => void) {
    if (!found) return undefined;
    const { type, facts } = found;
    const name = { type, name: facts.name, version: facts.version };
    const locked = Object.values(ground.locks())
      .flatMap(({ installed }) => [installed?.package, installed?.previous])
      .find((pin) => pin?.type === type && pin.name === facts.name && pin.version === facts.version);
    const integrity = type === "npm" ? facts.integrity : facts.sha256;
    if (locked && locked.integrity !== integrity)
      throw new NikaError(
        "denied",
        `${facts.name} ${facts.version} is not what it was when it was installed before: its registry gives another integrity.`,
      );
    const notes: string[] = [];
    const told = { signal, step: (note: string) => step("fetch", note) };
    const tree = await packages.place(name, locked?.tree, async (dir) => {
      if (type === "npm") {
        const { wantedScripts } = await npm.fetch(facts, dir, told);
        if (wantedScripts.length > 0)
          notes.push(
            `${wantedScripts.slice(0, 5).join(", ")} wanted to run a script when installed and was not let; something may be missing in it.`,
          );
      } else await pypi.fetch(facts, dir, told);
      step("verify", "reading every file of it");
    });
    const pin: PackagePin = {
      ...name,
      integrity,
      tree: tree.sha256,
      at: now(),
      ...(type === "npm" && facts.publisher !== undefined && { publisher: facts.publisher }),
    };
    const dir = packages.dirOf(name);
    const program = type === "npm" ? npmProgram(dir, facts.name) : pypiProgram(dir);
    const same = before?.package?.version === pin.version;
    return { pin: same && before?.package ? { ...pin, at: before.package.at } : pin, program, notes };
  }

  async function tried(config: ServerConfig, pin: PackagePin, signal: AbortSignal, notes: string[]) {
    const expecting = packages.expect(pin, pin.tree);
    try {
      const listing = await listApart(config, { launcher, version: nika, signal });
      return { config, listing };
    } catch (error) {
      if (signal.aborted) throw error;
      const { code, message } = toNikaError(error);
      // A tree that is not what was just fetched is no matter of taste.
      if (code === "denied" && !/was not started/.test(message)) throw error;
      notes.push(`It could not be listed in a sandbox without network: ${message}`);
      return undefined;
    } finally {
      expecting.forget();
    }
  }

  return {
    async info(wish, signal) {
      const resolved = await resolve(wish, signal);
      const { source, entry, offer, found, alias, before } = resolved;
      const npmFacts = found?.type === "npm" ? found.facts : undefined;
      return {
        source,
        entry,
        alias,
        offer:
          offer.type === "remote"
            ? { type: "remote", what: offer.of.url.text, version: entry.version }
            : {
                type: "package",
                what: `${offer.of.type}:${offer.of.identifier}`,
                version: found?.facts.version ?? offer.of.version,
              },
        inputs: inputsOf(offer).map((input) => ({
          ...input,
          ...(input.isSecret && { secretName: secretNameOf(alias, input.name) }),
        })),
        warnings: warningsFor(resolved),
        ...(npmFacts && {
          signature: npmFacts.signature,
          hasProvenance: npmFacts.hasProvenance,
          ...(npmFacts.publisher !== undefined && { publisher: npmFacts.publisher }),
          ...(npmFacts.publishedAt !== undefined && { publishedAt: npmFacts.publishedAt }),
        }),
        ...(before && { installed: before.entry.version }),
      };
    },
    async install(wish, { signal, step }) {
      step("look", "asking its registry");
      const resolved = await resolve(wish, signal);
      const { entry, offer, alias, source, before } = resolved;
      const whole = joined(
        before?.wish,
        wish,
        inputsOf(offer).map(({ name }) => name),
      );
      const warnings = warningsFor(resolved);
      const grave = warnings.filter(({ isGrave }) => isGrave);
      if (grave.length > 0 && !wish.despiteWarnings)
        throw new NikaError(
          "denied",
          `It was not installed: ${grave.map(({ text }) => text).join(" ")} If you are sure, add --despite-warnings.`,
        );
      const file = dropInFile(dataDir, alias);
      const declare = (program: { command: string; file: string } | undefined) =>
        toDropIn({
          alias,
          offer,
          program,
          values: whole.values,
          more: whole,
          egress: whole.egress,
          mounts: whole.mounts,
          storage: whole.storage,
          isOff: before !== undefined && isTurnedOff(file, alias),
          file,
        });
      // What is missing is said before minutes are spent on fetching.
      declare({ command: "node", file: "/srv/app.js" });
      const got = await fetched(resolved, signal, step);
      const dropIn = declare(got?.program);
      const notes = [...(got?.notes ?? [])];
      let trial: Awaited<ReturnType<typeof tried>>;
      if (got) {
        step("try", "listing it in a sandbox without network");
        trial = await tried(dropIn.config, got.pin, signal, notes);
      }
      signal.throwIfAborted();
      step("place", "declaring it");
      const previous = before?.package && got && before.package.tree !== got.pin.tree ? before.package : before?.previous;
      const installed = {
        source,
        entry,
        at: now(),
        wish: whole,
        ...(got && { package: got.pin }),
        ...(previous && { previous }),
      };
      // What takes the place of another is listed and compared with it when it does; a first one need not be started twice.
      ground.adopt(alias, installed, before ? undefined : trial);
      writeDropIn(file, dropIn.text);
      await ground.reload();
      packages.sweep(Object.values(ground.locks()));
      const standing = ground.standing(alias);
      const secrets: string[] = [];
      for (const name of dropIn.secrets) if (!(await hasSecret(name))) secrets.push(name);
      if (standing?.problem !== undefined && secrets.length === 0) notes.push(standing.problem);
      const marked = trial ? trial.listing.tools.filter((tool) => lint(tool).length > 0).length : (standing?.marked ?? 0);
      const hosts = got ? hostsNamed(got.program.own).filter((to) => !wish.egress.includes(to)) : [];
      step("done", "");
      return {
        alias,
        name: entry.name,
        version: entry.version,
        tools: standing?.tools ?? 0,
        waiting: standing?.waiting ?? 0,
        marked,
        secrets,
        hosts,
        notes: [...warnings.map(({ text }) => text), ...notes],
        ...(before && before.entry.version !== entry.version && { before: before.entry.version }),
      };
    },
  };
}

/** A package that was named itself, as an entry of no registry. */
const bareEntry = (type: "npm" | "pypi", identifier: string, version: string | undefined): Entry => ({
  name: `${type}:${identifier}`,
  description: "",
  version: version ?? "",
  status: "active",
  isLatest: version === undefined,
  packages: [{ type, identifier, version: version ?? "", transport: "stdio", args: [], env: [] }],
  remotes: [],
});

/** The program named like the package, or its only one; below `node_modules`, which is mounted whole. */
function npmProgram(dir: string, name: string): { readonly command: string; readonly file: string; readonly own: string } {
  const own = join(dir, "node_modules", ...name.split("/"));
  const described = recordOf(JSON.parse(readFileSync(join(own, "package.json"), "utf8")));
  const { bin } = described;
  const last = name.slice(name.lastIndexOf("/") + 1);
  const programs = typeof bin === "string" ? { [last]: bin } : recordOf(bin);
  const keys = Object.keys(programs);
  const key =
    keys.find((one) => one === last) ?? keys.find((one) => one === `mcp-${last}`) ?? (keys.length === 1 ? keys[0] : undefined);
  const path = key === undefined ? textOf(described, "main") : textOf(programs, key);
  if (path === undefined) throw new NikaError("invalid", `${name} does not say which program of it is the server.`);
  const file = join(own, path);
  if (!file.startsWith(own) || !existsSync(file)) throw new NikaError("invalid", `${name} names a program that is not in it.`);
  return { command: "node", file, own };
}

/** What was said when it was installed holds for another version of it, where nothing else is said now. */
function joined(before: InstalledWish | undefined, wish: InstallWish, inputs: readonly string[]): InstalledWish {
  const { values, args, env, secrets, egress, mounts, storage } = wish;
  if (!before) return { values, args, env, secrets, egress, mounts, ...(storage !== undefined && { storage }) };
  const either = (now: readonly string[], old: readonly string[]): string[] => [...(now.length > 0 ? now : old)];
  const kept = storage ?? before.storage;
  return {
    // Another version may not ask for it any more.
    values: { ...Object.fromEntries(Object.entries(before.values).filter(([name]) => inputs.includes(name))), ...values },
    args: either(args, before.args),
    env: { ...before.env, ...env },
    secrets: either(secrets, before.secrets),
    egress: either(egress, before.egress),
    mounts: either(mounts, before.mounts),
    ...(kept !== undefined && { storage: kept }),
  };
}
