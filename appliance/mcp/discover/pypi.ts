/**
 * Packages of PyPI, fetched by the machine's own pip as it is configured: wheels only, so that nothing of a package runs, each checked against
 * the SHA-256 its index gave.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { NikaError } from "../../../convex/model/error.ts";
import { listOf, recordOf, textOf } from "./json.ts";
import { runProgram, type Variables } from "./program.ts";

export type PypiFacts = {
  readonly name: string;
  readonly version: string;
  /** Of its wheel, in hex. */
  readonly sha256: string;
  /** All it needs, itself included, with their wheels' SHA-256. */
  readonly needs: readonly { readonly name: string; readonly version: string; readonly sha256: string }[];
  readonly repository: string | undefined;
  /** The whole description: who owns a package says there which server it is. */
  readonly about: string;
};

export type Pypi = {
  /** Fails with `missing` (no such package, or no pip here), `denied` (no wheel, no hash), `unavailable`. */
  facts(name: string, version: string | undefined, signal: AbortSignal): Promise<PypiFacts>;
  /** Puts it into `dir/site`, with `dir/main.py` to start it. */
  fetch(
    facts: PypiFacts,
    dir: string,
    wish: { readonly signal: AbortSignal; readonly step: (note: string) => void },
  ): Promise<void>;
};

const pipMs = 10 * 60_000;
const packagesMax = 500;
export const isPypiName = (name: string): boolean => /^[a-z0-9](?:[\w.-]{0,98}[a-z0-9])?$/i.test(name);

/** Distributions spell their names in many ways (PEP 503). */
const plain = (name: string): string => name.toLowerCase().replace(/[-_.]+/g, "-");

export function openPypi({ dataDir, variables }: { readonly dataDir: string; readonly variables: Variables }): Pypi {
  const common = [
    "--disable-pip-version-check",
    "--no-input",
    "--quiet",
    "--only-binary",
    ":all:",
    "--cache-dir",
    join(dataDir, "cache", "pip"),
  ];
  let version: Promise<string> | undefined;
  /** Of the Python that runs in sandboxes, which may be another than the one that has pip. */
  const sandboxPython = (signal: AbortSignal): Promise<string> =>
    (version ??= (async () => {
      const ask = ["-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"];
      const wish = { cwd: dataDir, variables, signal, limitMs: 30_000 };
      const { stdout } = await runProgram("/usr/bin/python3", ask, wish).catch(() => runProgram("python3", ask, wish));
      return stdout.trim();
    })().catch((error: unknown) => {
      version = undefined;
      throw error;
    }));
  async function pip(args: readonly string[], signal: AbortSignal): Promise<string> {
    mkdirSync(dataDir, { recursive: true });
    const { code, stdout, stderr } = await runProgram(
      "python3",
      ["-m", "pip", ...args, ...common, "--python-version", await sandboxPython(signal)],
      {
        cwd: dataDir,
        variables,
        signal,
        limitMs: pipMs,
      },
    );
    if (code !== 0) throw toError(stderr);
    return stdout;
  }
  return {
    async facts(name, version, signal) {
      if (!isPypiName(name)) throw new NikaError("invalid", `"${name}" is no name of a Python package.`);
      if (version !== undefined && !/^[\w.+!-]{1,100}$/.test(version))
        throw new NikaError("invalid", `"${version}" is no version; give one such as 1.2.3.`);
      const wish = version === undefined ? name : `${name}==${version}`;
      const report = await pip(
        ["install", "--dry-run", "--ignore-installed", "--report", "-", "--target", join(dataDir, "cache", "none"), wish],
        signal,
      );
      const items = listOf(recordOf(JSON.parse(report))["install"]);
      if (items.length > packagesMax)
        throw new NikaError("full", `${name} needs ${items.length} packages; ${packagesMax} are the most.`);
      const needs = items.map((item) => {
        const [metadata, download] = [recordOf(item["metadata"]), recordOf(item["download_info"])];
        const sha256 = textOf(recordOf(recordOf(download["archive_info"])["hashes"]), "sha256");
        const found = textOf(metadata, "name") ?? "?";
        if (sha256 === undefined)
          throw new NikaError("denied", `${found}, which ${name} needs, comes without a SHA-256; it was not installed.`);
        return { name: found, version: textOf(metadata, "version") ?? "", sha256, metadata };
      });
      const main = needs.find((one) => plain(one.name) === plain(name));
      if (!main) throw new NikaError("missing", `There is no ${name} in the index of Python packages.`);
      const urls = Array.isArray(main.metadata["project_url"]) ? main.metadata["project_url"].map(String) : [];
      return {
        name: main.name,
        version: main.version,
        sha256: main.sha256,
        needs: needs.map(({ name: one, version: its, sha256 }) => ({ name: one, version: its, sha256 })),
        repository: urls.find((one) => /github|gitlab|repository|source/i.test(one))?.replace(/^[^,]*,\s*/, ""),
        about: typeof main.metadata["description"] === "string" ? main.metadata["description"].slice(0, 200_000) : "",
      };
    },
    async fetch({ name, needs }, dir, { signal, step }) {
      mkdirSync(dir, { recursive: true, mode: 0o700 });
      const list = join(dir, "requirements.txt");
      writeFileSync(list, needs.map((one) => `${one.name}==${one.version} --hash=sha256:${one.sha256}\n`).join(""));
      step(`fetching ${needs.length} packages`);
      const site = join(dir, "site");
      await pip(["install", "--require-hashes", "--no-deps", "--no-compile", "--target", site, "--requirement", list], signal);
      const { module, call } = entryPoint(site, name);
      writeFileSync(
        join(dir, "main.py"),
        `import os, sys\nsys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "site"))\nfrom ${module} import ${call.split(".")[0] ?? call}\nsys.exit(${call}())\n`,
      );
      // What marks the folder as one that is mounted whole.
      writeFileSync(join(dir, "pyproject.toml"), "");
    },
  };
}

/** How it is started, and where its own code is. */
export function pypiProgram(dir: string): { readonly command: string; readonly file: string; readonly own: string } {
  const file = join(dir, "main.py");
  const module = /^from (\w+)/m.exec(readFileSync(file, "utf8"))?.[1] ?? "";
  return { command: "python3", file, own: join(dir, "site", module) };
}

/** The console script named like the package, or its only one. */
function entryPoint(site: string, name: string): { readonly module: string; readonly call: string } {
  const info = readdirSync(site).find(
    (one) => one.endsWith(".dist-info") && plain(one.replace(/-[^-]*\.dist-info$/, "")) === plain(name),
  );
  let text = "";
  try {
    text = info === undefined ? "" : readFileSync(join(site, info, "entry_points.txt"), "utf8");
  } catch {
    // It brings no programs.
  }
  const scripts = new Map<string, { readonly module: string; readonly call: string }>();
  let section = "";
  for (const line of text.split("\n")) {
    section = /^\s*\[(.+)\]\s*$/.exec(line)?.[1] ?? section;
    const [, key, module, call] = /^\s*([\w.-]+)\s*=\s*([\w.]+)\s*:\s*([\w.]+)/.exec(line) ?? [];
    if (section === "console_scripts" && key !== undefined && module !== undefined && call !== undefined)
      scripts.set(key, { module, call });
  }
  const found =
    [...scripts].find(([key]) => plain(key) === plain(name))?.[1] ?? (scripts.size === 1 ? [...scripts.values()][0] : undefined);
  if (!found) throw new NikaError("invalid", `${name} does not say which program of it is the server.`);
  return found;
}

function toError(stderr: string): NikaError {
  const text = stderr
    .replace(/https?:\/\/[^\s/]+/g, "…")
    .replace(/\s+/g, " ")
    .trim();
  const cause = new Error(stderr.slice(-2_000));
  if (/No module named pip/.test(text))
    return new NikaError("missing", "Python here has no pip; install it to use servers written in Python.", { cause });
  if (/hash(?:es)? (?:from|do not match|mismatch)|THESE PACKAGES DO NOT MATCH THE HASHES/i.test(text))
    return new NikaError("denied", "A package is not what its index said it is, so nothing was installed.", { cause });
  // Asked first: pip ends with "no matching distribution" for these, too.
  if (
    /Failed to establish a new connection|ConnectionError|timed out|Temporary failure in name resolution|HTTP error 5\d\d/i.test(
      text,
    )
  )
    return new NikaError("unavailable", "The index of Python packages does not answer.", { cause });
  if (/No matching distribution|Could not find a version/i.test(text))
    return new NikaError(
      "missing",
      "There is no such package or version, or it has no wheel for this machine; what must be built is not installed.",
      { cause },
    );
  return new NikaError("invalid", `pip could not do it: ${text.slice(-300)}`, { cause });
}
