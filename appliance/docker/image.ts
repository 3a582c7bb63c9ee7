/**
 * Images for sandboxes, made of this machine's own binaries: no registry is asked, so what runs is what the owner installed. The name
 * of an image is the hash of what is in it, so it is made once and made anew when Node, Python or a program of ours changes.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, readdir, realpath, stat } from "node:fs/promises";
import { posix } from "node:path";
import { Readable } from "node:stream";
import { promisify } from "node:util";
import type Docker from "dockerode";
import { createTarPacker } from "modern-tar";
import { NikaError } from "../../convex/model/error.ts";
import type { SandboxSpec } from "../../functions/ports/sandboxes.ts";
import { saidBy, unlessMissing } from "./errors.ts";

export type Language = SandboxSpec["language"];

/** What stands where in an image: bytes of ours, or a file of this machine. Everything belongs to root and nobody may write it. */
type Part = { readonly to: string; readonly isProgram: boolean } & (
  | { readonly text: string }
  | { readonly from: string; readonly bytes: number; readonly mtimeSeconds: number }
);

export type Images = {
  /** The name of the language's image, made when it is not there. Fails with `missing` when the machine has no such language. */
  need(language: Language): Promise<string>;
  /** Forgets what it knows, because the engine said that the image is gone. */
  forget(language: Language): void;
  /** Takes away images of ours that nothing runs from and that this Nika would not make. */
  prune(): Promise<void>;
};

export type ImagesOptions = {
  /** Further programs for inside, by name; they are put beside ours in /nika. */
  readonly programs: Readonly<Record<string, URL>>;
  /** What images are called before their language, so that who makes others does not take these away. */
  readonly prefix?: string;
  /** This machine's own programs by name, such as `sh`; one that it does not have is left out. */
  readonly tools?: readonly string[];
};

const run = promisify(execFile);
/** Raised when the archive is made otherwise of the same parts. */
const layout = 2;
/** Nobody answers there: documentation's own network. */
export const deadDns = "192.0.2.1";
/** Files up to this size are read at once, so many of them together. */
const wholeBytesMax = 1 << 20;
const atOnce = 16;
const guestDir = new URL("guest/", import.meta.url);

/** Each sandbox runs as one of these, so that what the kernel counts by user is counted for it alone. */
export const firstUser = 1_900_000_000;
export const users = 1_024;
/** Of these, the last so many are for sandboxes that store something. */
export const storingUsers = 256;
/** Runs what stands between the program and the gate; the program can neither signal nor read it. */
export const relayUser = firstUser + users;

export function openImages(docker: Docker, { programs, prefix = "nika-sandbox-", tools = [] }: ImagesOptions): Images {
  const made = new Map<Language, Promise<string>>();

  async function make(language: Language): Promise<string> {
    const parts = await partsOf(language, programs, tools);
    const name = `${prefix}${language}:${await hashOf(parts)}`;
    if (!(await unlessMissing(docker.getImage(name).inspect()))) await importAs(docker, name, parts);
    return name;
  }

  return {
    need(language) {
      let name = made.get(language);
      if (!name) {
        name = make(language);
        made.set(language, name);
        // What failed is tried again by the next.
        name.catch(() => made.delete(language));
      }
      return name;
    },
    forget: (language) => void made.delete(language),
    async prune() {
      const ours = new Set(await Promise.all([...made.values()].map((name) => name.catch(() => undefined))));
      for (const { RepoTags } of await docker.listImages())
        for (const tag of RepoTags ?? []) {
          const [language] = tag.slice(prefix.length).split(":");
          if (!tag.startsWith(prefix) || ours.has(tag) || !made.has(language as Language)) continue;
          // In use by another Nika on this machine: it stays.
          await docker
            .getImage(tag)
            .remove()
            .catch(() => undefined);
        }
    },
  };
}

async function importAs(docker: Docker, name: string, parts: readonly Part[]): Promise<void> {
  const [repo, tag] = name.split(":");
  const archive = archiveOf(parts);
  const answer = await docker.importImage(archive, { repo, tag });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  docker.modem.followProgress(answer, (error, lines: readonly { error?: string }[]) => {
    const failed = error ?? lines.find((line) => line.error !== undefined)?.error;
    if (failed) reject(failed instanceof Error ? failed : new Error(failed));
    else resolve();
  });
  await promise.catch((error: unknown) => {
    throw new NikaError("unavailable", `Docker could not make the image ${name}: ${saidBy(error)}`, { cause: error });
  });
}

/** The archive of an image. The same parts give the same bytes. */
function archiveOf(parts: readonly Part[]): Readable {
  const { readable, controller } = createTarPacker();
  const fill = async (): Promise<void> => {
    for (const folder of foldersOf(parts))
      await controller
        // What is mounted onto /tmp takes its mode from what it covers.
        .add({
          name: `${folder}/`,
          type: "directory",
          size: 0,
          mode: folder === "tmp" ? 0o1777 : 0o755,
          mtime: new Date(0),
          uid: 0,
          gid: 0,
        })
        .close();
    for (const part of parts) {
      const body = "text" in part ? Buffer.from(part.text) : undefined;
      const into = controller.add({
        name: part.to.slice(1),
        size: "text" in part ? Buffer.byteLength(part.text) : part.bytes,
        mode: part.isProgram ? 0o755 : 0o644,
        mtime: new Date("text" in part ? 0 : part.mtimeSeconds * 1000),
        uid: 0,
        gid: 0,
      });
      const from = body ? Readable.from([body]) : createReadStream("from" in part ? part.from : "");
      const writer = into.getWriter();
      for await (const chunk of from) await writer.write(new Uint8Array(chunk as Buffer));
      await writer.close();
    }
    controller.finalize();
  };
  fill().catch((error: unknown) => controller.error(error));
  return Readable.fromWeb(readable);
}

/** Every folder on the way to a part, parents first, and the empty ones that the engine mounts onto. */
function foldersOf(parts: readonly Part[]): string[] {
  const folders = new Set(["tmp", "proc", "sys", "dev", "etc", "mnt"]);
  for (const { to } of parts)
    for (let folder = posix.dirname(to).slice(1); folder !== ""; folder = posix.dirname(`/${folder}`).slice(1))
      folders.add(folder);
  return [...folders].toSorted();
}

async function hashOf(parts: readonly Part[]): Promise<string> {
  const whole = createHash("sha256").update(`layout ${layout}\n`);
  const digest = async (part: Part): Promise<string> => {
    const one = createHash("sha256");
    if ("text" in part) one.update(part.text);
    else if (part.bytes < wholeBytesMax) one.update(await readFile(part.from));
    else for await (const chunk of createReadStream(part.from, { highWaterMark: wholeBytesMax })) one.update(chunk as Buffer);
    return one.digest("hex");
  };
  for (let at = 0; at < parts.length; at += atOnce) {
    const some = parts.slice(at, at + atOnce);
    const digests = await Promise.all(some.map(digest));
    for (const [n, part] of some.entries())
      whole.update(`${part.to}\0${part.isProgram}\0${"from" in part ? part.mtimeSeconds : 0}\0${digests[n]}\n`);
  }
  return whole.digest("hex").slice(0, 32);
}

async function partsOf(language: Language, programs: Readonly<Record<string, URL>>, tools: readonly string[]): Promise<Part[]> {
  const parts = new Map<string, Part>();
  const add = (part: Part): void => void parts.set(part.to, part);
  const addFile = async (from: string, to: string, isProgram = false): Promise<void> => {
    const { size, mtimeMs } = await stat(from);
    // Of Python's modules the time must stay what it was: what was compiled from them names it.
    add({ to, isProgram, from, bytes: size, mtimeSeconds: to.includes("/python3") ? Math.floor(mtimeMs / 1000) : 0 });
  };
  const addProgram = async (from: string, to: string): Promise<void> => {
    await addFile(await realpath(from), to, true);
    for (const library of await librariesOf([from])) await addFile(await realpath(library), library, true);
  };

  // Node is in every image: the relay of the egress gate is a program of ours.
  await addProgram(process.execPath, "/usr/local/bin/node");
  if (language === "python")
    for (const [from, to] of await pythonFiles()) await addFile(from, to, /\.so(?:\.|$)|\/python3$/.test(to));
  for (const name of tools) {
    const from = await Promise.any(toolFolders.map((folder) => realpath(`${folder}/${name}`))).catch(() => undefined);
    // Where scripts name them: some say /bin, some /usr/bin.
    if (from !== undefined) for (const folder of toolFolders) await addProgram(from, `${folder}/${name}`);
  }
  const text = (to: string, words: string): void => add({ to, isProgram: false, text: words });
  for (const [name, url] of Object.entries({ "probe.ts": new URL("probe.ts", guestDir), ...programs }))
    text(`/nika/${name}`, await readFile(url, "utf8"));
  text("/nika/package.json", '{"type":"module"}\n');
  text("/etc/passwd", `root:x:0:0::/:/none\n${accounts("::/tmp:/none")}`);
  text("/etc/group", `root:x:0:\n${accounts("")}`);
  text("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n");
  text("/etc/hosts", "127.0.0.1 localhost sandbox\n::1 localhost\n");
  text("/etc/resolv.conf", `nameserver ${deadDns}\noptions timeout:1 attempts:1\n`);
  return [...parts.values()].toSorted((one, other) => (one.to < other.to ? -1 : 1));
}

const toolFolders = ["/usr/bin", "/bin"];

/** Names for the users of sandboxes: programs ask for their own and fail when it has none. */
function accounts(rest: string): string {
  const line = (n: number): string => `sandbox${n}:x:${firstUser + n}:${rest === "" ? "" : `${firstUser + n}${rest}`}\n`;
  return Array.from({ length: users + 1 }, (_, n) => line(n)).join("");
}

/** What the dynamic linker would load for these, itself included; nothing for a program that was linked statically. */
async function librariesOf(programs: readonly string[]): Promise<string[]> {
  const { stdout } = await run("ldd", [...programs], { maxBuffer: 16 << 20 }).catch((error: { stdout?: string }) => ({
    stdout: error.stdout ?? "",
  }));
  const found = stdout.split("\n").map((line) => /(\/\S+) \(0x/.exec(line)?.[1]);
  return [...new Set(found.filter((path) => path !== undefined))].toSorted();
}

const askPython =
  "import sys,sysconfig,json,os;print(json.dumps([os.path.realpath(sys.executable),sysconfig.get_path('stdlib'),sysconfig.get_config_var('LDVERSION') or '',list(sys.version_info[:2])]))";
/** Of the standard library, what a sandbox has no use for: its own tests, windows on a screen, and what installs. */
const leftOut = /\/(?:test|tests|idlelib|tkinter|turtledemo|ensurepip|lib2to3|dist-packages|site-packages|config-[^/]+)(?:\/|$)/;

/** What compiled packages may count on wherever they run (PEP 600), beside what Python itself loads. */
const countedOn = [
  "librt.so.1",
  "libpthread.so.0",
  "libdl.so.2",
  "libutil.so.1",
  "libm.so.6",
  "libresolv.so.2",
  "libgcc_s.so.1",
  "libstdc++.so.6",
];

/** Python's program, its standard library and the libraries of both, where Python looks for them beneath /usr/local. */
async function pythonFiles(): Promise<[from: string, to: string][]> {
  let program: string, stdlib: string, version: [number, number];
  try {
    const { stdout } = await run("/usr/bin/python3", ["-I", "-c", askPython]).catch(() =>
      run("python3", ["-I", "-c", askPython]),
    );
    [program, stdlib, , version] = JSON.parse(stdout) as [string, string, string, [number, number]];
  } catch (error) {
    throw new NikaError("missing", "Python is not on this machine; install python3 to run Python in a sandbox.", {
      cause: error,
    });
  }
  const home = `/usr/local/lib/python${version.join(".")}`;
  const files: [string, string][] = [[program, "/usr/local/bin/python3"]];
  const binaries = [program];
  for (const entry of await readdir(stdlib, { recursive: true, withFileTypes: true })) {
    const from = posix.join(entry.parentPath, entry.name);
    const inside = from.slice(stdlib.length);
    if (leftOut.test(inside) || !(entry.isFile() || entry.isSymbolicLink())) continue;
    const real = entry.isFile() ? from : await realpath(from).catch(() => undefined);
    if (real === undefined || (real !== from && !(await stat(real)).isFile())) continue;
    files.push([real, home + inside]);
    if (inside.endsWith(".so")) binaries.push(real);
  }
  const libraries = await librariesOf(binaries);
  const near = posix.dirname(libraries.find((path) => path.endsWith("/libc.so.6")) ?? "/lib/libc.so.6");
  for (const library of [
    ...libraries,
    ...countedOn.map((name) => posix.join(near, name)).filter((path) => !libraries.includes(path)),
  ]) {
    const real = await realpath(library).catch(() => undefined);
    if (real !== undefined) files.push([real, library]);
  }
  const authorities = "/etc/ssl/certs/ca-certificates.crt";
  if (await stat(authorities).catch(() => undefined))
    files.push([authorities, "/etc/ssl/certs/ca-certificates.crt"], [authorities, "/usr/lib/ssl/cert.pem"]);
  return files;
}
