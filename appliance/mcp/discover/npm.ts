/**
 * Packages of npm, fetched by npm itself as the machine has it configured: which version, what it is made of, and the files, each checked
 * against the integrity its registry gave. Nothing of a package runs: no install scripts, no links to programs.
 */
import { createPublicKey, createVerify } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { NikaError } from "../../../convex/model/error.ts";
import { askJson } from "./ask.ts";
import { listOf, recordOf, textOf, type Json } from "./json.ts";
import { runProgram, type Variables } from "./program.ts";

/** What the registry says of one version of a package. */
export type NpmFacts = {
  readonly name: string;
  readonly version: string;
  /** SHA-512 of the tarball, as in `sha512-…`. */
  readonly integrity: string;
  /** Which server it says it is: the other half of what a registry entry claims. */
  readonly mcpName: string | undefined;
  /** Who published this version, and who may publish. */
  readonly publisher: string | undefined;
  readonly maintainers: readonly string[];
  readonly repository: string | undefined;
  readonly createdAt: number | undefined;
  readonly publishedAt: number | undefined;
  readonly deprecated: string | undefined;
  /** `absent`: the registry has keys and this has no signature. `notOffered`: the registry has no keys. */
  readonly signature: "verified" | "absent" | "notOffered";
  /** Says where it was built. Told, not verified: that would need Sigstore's root, which is another network. */
  readonly hasProvenance: boolean;
};

export type NpmTree = {
  /** Packages in it, itself included. */
  readonly packages: number;
  /** Those that wanted to run something when installed, and were not let. */
  readonly wantedScripts: readonly string[];
};

export type NpmOptions = { readonly dataDir: string; readonly variables: Variables };

const viewMs = 90_000;
const fetchMs = 10 * 60_000;
const packagesMax = 2_000;

const cli = (): string => join(dirname(fileURLToPath(import.meta.resolve("npm/package.json"))), "bin/npm-cli.js");

export const isNpmName = (name: string): boolean =>
  name.length <= 214 && /^(?:@[a-z0-9~-][\w.~-]*\/)?[a-z0-9~-][\w.~-]*$/i.test(name);

export type Npm = {
  /** A version, a tag, or the newest. Fails with `missing`, `unavailable`, `denied` (a signature that does not fit). */
  facts(name: string, version: string | undefined, signal: AbortSignal): Promise<NpmFacts>;
  /**
   * Fetches the package and all it needs into `dir/node_modules`. Fails with `denied` when something in it does not come from a registry with
   * an integrity, and when a tarball is not what its registry said.
   */
  fetch(
    facts: NpmFacts,
    dir: string,
    wish: { readonly signal: AbortSignal; readonly step: (note: string) => void },
  ): Promise<NpmTree>;
};

export function openNpm({ dataDir, variables }: NpmOptions): Npm {
  const cacheDir = join(dataDir, "cache", "npm");
  const common = [
    "--ignore-scripts",
    "--no-bin-links",
    "--omit=dev",
    "--no-workspaces",
    "--no-audit",
    "--no-fund",
    "--no-update-notifier",
    "--no-progress",
    "--loglevel=error",
    "--json",
    "--fetch-retry-maxtimeout=10000",
    `--cache=${cacheDir}`,
    // Nothing but registries is asked, not even to find out which version it would be.
    ...["git", "remote", "file", "directory"].map((kind) => `--allow-${kind}=none`),
  ];
  async function npm(args: readonly string[], cwd: string, signal: AbortSignal, limitMs: number): Promise<string> {
    mkdirSync(cacheDir, { recursive: true, mode: 0o700 });
    const { code, stdout, stderr } = await runProgram(process.execPath, [cli(), ...args, ...common], {
      cwd,
      variables,
      signal,
      limitMs,
    });
    if (code !== 0) throw toError(stdout, stderr);
    return stdout;
  }

  // Asking npm for one setting takes as long as asking a registry; it is not changed while Nika runs.
  const registries = new Map<string, string>();
  async function registryOf(name: string, signal: AbortSignal): Promise<string> {
    const scope = name.startsWith("@") ? name.slice(0, name.indexOf("/")) : "";
    const known = registries.get(scope);
    if (known !== undefined) return known;
    for (const key of scope === "" ? ["registry"] : [`${scope}:registry`, "registry"]) {
      const text = (await npm(["config", "get", key], dataDir, signal, viewMs)).trim().replace(/^"|"$/g, "");
      if (!/^https?:/.test(text)) continue;
      registries.set(scope, text);
      return text;
    }
    throw new NikaError("unavailable", "npm has no registry on this machine; see `npm config get registry`.");
  }

  async function signatureOf(raw: Json, integrity: string, signal: AbortSignal): Promise<NpmFacts["signature"]> {
    const [name, version] = [textOf(raw, "name") ?? "", textOf(raw, "version") ?? ""];
    const keys = await askJson(new URL("-/npm/v1/keys", `${(await registryOf(name, signal)).replace(/\/+$/, "")}/`), {
      signal,
    }).then(
      (answer) => listOf(recordOf(answer)["keys"]),
      // Registries that have none answer in many ways.
      () => [],
    );
    if (keys.length === 0) return "notOffered";
    const signatures = listOf(recordOf(raw["dist"])["signatures"]);
    if (signatures.length === 0) return "absent";
    for (const { keyid, sig } of signatures) {
      const key = keys.find((one) => one["keyid"] === keyid);
      if (!key || typeof sig !== "string") continue;
      const publicKey = createPublicKey({ key: Buffer.from(String(key["key"]), "base64"), format: "der", type: "spki" });
      if (createVerify("sha256").update(`${name}@${version}:${integrity}`).verify(publicKey, sig, "base64")) return "verified";
      throw new NikaError("denied", `The registry's signature of ${name} ${version} does not fit it; it was not installed.`);
    }
    throw new NikaError(
      "denied",
      `${name} ${version} is signed with a key that its registry does not know; it was not installed.`,
    );
  }

  return {
    async facts(name, version, signal) {
      if (!isNpmName(name)) throw new NikaError("invalid", `"${name}" is no name of an npm package.`);
      if (version !== undefined && !/^[\w.+-]{1,100}$/.test(version))
        throw new NikaError("invalid", `"${version}" is no version; give one such as 1.2.3.`);
      mkdirSync(dataDir, { recursive: true });
      const text = await npm(["view", `${name}@${version ?? "latest"}`], dataDir, signal, viewMs);
      const parsed: unknown = text.trim() === "" ? undefined : JSON.parse(text);
      const raw = recordOf(Array.isArray(parsed) ? parsed.at(-1) : parsed);
      const [found, integrity] = [textOf(raw, "version"), textOf(recordOf(raw["dist"]), "integrity")];
      if (found === undefined)
        throw new NikaError("missing", `There is no ${name}${version === undefined ? "" : ` ${version}`} in npm's registry.`);
      if (integrity === undefined || !/^sha(?:256|384|512)-/.test(integrity))
        throw new NikaError(
          "denied",
          `The registry gives no usable integrity for ${name} ${found}, so nobody could tell whether it is what was published.`,
        );
      const times = recordOf(raw["time"]);
      const at = (key: string): number | undefined => {
        const ms = Date.parse(String(times[key]));
        return Number.isNaN(ms) ? undefined : ms;
      };
      const repository = raw["repository"];
      return {
        name,
        version: found,
        integrity,
        mcpName: textOf(raw, "mcpName"),
        publisher: personOf(raw["_npmUser"]),
        maintainers: (Array.isArray(raw["maintainers"]) ? raw["maintainers"] : []).flatMap((one) => personOf(one) ?? []),
        repository: typeof repository === "string" ? repository : textOf(recordOf(repository), "url"),
        createdAt: at("created"),
        publishedAt: at(found),
        deprecated: textOf(raw, "deprecated"),
        signature: await signatureOf(raw, integrity, signal),
        hasProvenance: recordOf(raw["dist"])["attestations"] !== undefined,
      };
    },
    async fetch({ name, version, integrity }, dir, { signal, step }) {
      mkdirSync(dir, { recursive: true, mode: 0o700 });
      writeFileSync(
        join(dir, "package.json"), // Without a name it would have that of its folder, and no two trees would be the same.
        JSON.stringify({ name: "installed", private: true, dependencies: { [name]: version } }),
      );
      step("looking up what it needs");
      await npm(["install", "--package-lock-only"], dir, signal, fetchMs);
      const tree = checkLock(JSON.parse(readFileSync(join(dir, "package-lock.json"), "utf8")), { name, version, integrity });
      step(`fetching ${tree.packages} packages`);
      // By the lock alone: each tarball is compared with the integrity that stands in it.
      await npm(["ci"], dir, signal, fetchMs);
      return tree;
    },
  };
}

/** Before anything is fetched: everything comes from a registry, at one version, with an integrity. */
function checkLock(lock: unknown, of: Pick<NpmFacts, "name" | "version" | "integrity">): NpmTree {
  const entries = Object.entries(recordOf(recordOf(lock)["packages"])).filter(([path]) => path !== "");
  const wantedScripts: string[] = [];
  if (entries.length > packagesMax)
    throw new NikaError("full", `${of.name} needs ${entries.length} packages; ${packagesMax} are the most.`);
  for (const [path, value] of entries) {
    const raw = recordOf(value);
    const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
    const foreign = Object.entries({ ...recordOf(raw["dependencies"]), ...recordOf(raw["optionalDependencies"]) }).find(
      ([, spec]) => typeof spec === "string" && /[:/]/.test(spec) && !spec.startsWith("npm:"),
    );
    if (foreign)
      throw new NikaError(
        "denied",
        `${name} takes ${foreign[0]} from "${String(foreign[1])}", which is no registry; it was not installed.`,
      );
    if (raw["inBundle"] === true) continue;
    const integrity = textOf(raw, "integrity");
    if (raw["link"] === true || integrity === undefined || !/^sha(?:256|384|512)-/.test(integrity))
      throw new NikaError("denied", `${name}, which ${of.name} needs, comes without a usable integrity; it was not installed.`);
    if (raw["hasInstallScript"] === true) wantedScripts.push(name);
  }
  const main = recordOf(recordOf(recordOf(lock)["packages"])[`node_modules/${of.name}`]);
  if (main["integrity"] !== of.integrity)
    throw new NikaError(
      "denied",
      `The registry gave two different integrities for ${of.name} ${of.version}; it was not installed.`,
    );
  return { packages: entries.length, wantedScripts };
}

/** `npm view` writes "name <mail>", a packument an object. */
function personOf(value: unknown): string | undefined {
  if (typeof value === "string") return value.replace(/\s*<.*$/, "") || undefined;
  return textOf(recordOf(value), "name");
}

const passing =
  /^(?:ENOTFOUND|ECONN\w+|ETIMEDOUT|EAI_AGAIN|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT|FETCH_ERROR|E429|E5\d\d|EPROTO)$/;

function toError(stdout: string, stderr: string): NikaError {
  let told: Json = {};
  try {
    told = recordOf(recordOf(JSON.parse(stdout))["error"]);
  } catch {
    // It failed before it could say so in JSON.
  }
  const code = textOf(told, "code") ?? /\bcode (\w+)/.exec(stderr)?.[1] ?? "";
  const summary = hostless((textOf(told, "summary") ?? stderr).replace(/\s+/g, " ").trim().slice(0, 300));
  const cause = new Error(stderr.slice(-2_000));
  if (code === "E404" || code === "ETARGET")
    return new NikaError("missing", `npm's registry has no such package or version: ${summary}`, { cause });
  if (code.startsWith("EALLOW"))
    return new NikaError("denied", `It takes something from where no registry is, so nothing was installed: ${summary}`, {
      cause,
    });
  if (code === "EINTEGRITY")
    return new NikaError("denied", `A package is not what its registry said it is, so nothing was installed: ${summary}`, {
      cause,
    });
  if (code === "ENOSPC") return new NikaError("full", "The disk is full.", { cause });
  if (code === "E401" || code === "E403") return new NikaError("denied", `npm's registry refuses: ${summary}`, { cause });
  if (passing.test(code)) return new NikaError("unavailable", `npm's registry does not answer (${code}).`, { cause });
  return new NikaError("invalid", `npm could not do it: ${summary === "" ? code : summary}`, { cause });
}

/** Whose registry it is stands in npm's configuration, and need not be told. */
const hostless = (text: string): string => text.replace(/https?:\/\/[^\s/]+/g, "…");
