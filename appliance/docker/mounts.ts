/** What of this machine a sandbox may see: folders inside the given roots, never beyond them by a link, and nothing that listens. */
import { chmod, mkdir, opendir, realpath, stat } from "node:fs/promises";
import { join, posix, sep } from "node:path";
import type Docker from "dockerode";
import { isNikaError, NikaError } from "../../convex/model/error.ts";
import type { SandboxSpec } from "../../functions/ports/sandboxes.ts";

/** A folder with more entries cannot be looked through in reasonable time. */
const entriesMax = 200_000;
/** Never, whatever the roots: the machine itself, its accounts, and what listens. */
const forbidden = [
  "/proc",
  "/sys",
  "/dev",
  "/run",
  "/var/run",
  "/etc",
  "/boot",
  "/root/.ssh",
  "/var/lib/docker",
  "/var/lib/containerd",
];
/** Of a data folder: what only the appliance may read. */
const forbiddenOfData = ["keys", "secrets", "engine", "vectors", "log", "sandbox", "lock", "run.json"];
/** What the image, the kernel and the engine have there must not be covered. */
const taken = ["/proc", "/sys", "/dev", "/etc", "/usr", "/lib", "/lib64", "/bin", "/sbin", "/nika", "/tmp", "/data"];

/** The mounts in the engine's words. Fails with `denied` for what lies outside the roots, with `invalid` for what makes no sense. */
export async function toMounts(mounts: SandboxSpec["mounts"], { roots, dataDir }: Ground): Promise<Docker.MountSettings[]> {
  const inside = await Promise.all(roots.map((root) => realpath(root).catch(() => root)));
  const data = await realpath(dataDir).catch(() => dataDir);
  const never = [...forbidden, ...forbiddenOfData.map((name) => join(data, name))];
  return Promise.all(
    mounts.map(async ({ from, to }): Promise<Docker.MountSettings> => {
      checkTarget(to);
      const source = await resolved(from);
      if (never.some((path) => isWithin(source, path) || isWithin(path, source)))
        throw new NikaError(
          "denied",
          `${from} may not be mounted into a sandbox: it holds what only this machine or Nika may read.`,
        );
      if (!inside.some((root) => isWithin(source, root)))
        throw new NikaError(
          "denied",
          `${from} may not be mounted into a sandbox, because it lies outside what was set aside for that.`,
        );
      await checkContent(from, source);
      return {
        Type: "bind",
        Source: source,
        Target: to,
        ReadOnly: true,
        // What is mounted below it on this machine stays outside: old engines would make only the top read-only.
        BindOptions: { Propagation: "rprivate", NonRecursive: true } as Docker.MountSettings["BindOptions"],
      };
    }),
  );
}

/** Where sandboxes' storages lie in a data folder. */
export const storageFolder = "storage";

/** The same for a storage, which is made when it is not there. It must lie in the data folder's place for storages, and be a folder. */
export async function toStorage(from: string, dataDir: string): Promise<Docker.MountSettings> {
  const place = join(dataDir, storageFolder);
  if (!isWithin(from, place) || from === place)
    throw new NikaError("denied", `${from} may not be a sandbox's storage, because it lies outside ${place}.`);
  await mkdir(from, { recursive: true, mode: 0o700 });
  const source = await realpath(from);
  if (!isWithin(source, await realpath(place)))
    throw new NikaError("denied", `${from} leads elsewhere; it may not be a sandbox's storage.`);
  // Whichever user it runs as inside. On this machine nobody gets to it: the folders above are the appliance's alone.
  await chmod(source, 0o777);
  return {
    Type: "bind",
    Source: source,
    Target: "/data",
    ReadOnly: false,
    BindOptions: { Propagation: "rprivate", NonRecursive: true } as Docker.MountSettings["BindOptions"],
  };
}

/** Folders from which may be mounted, and the data folder, most of which may not. */
export type Ground = { readonly roots: readonly string[]; readonly dataDir: string };

const isWithin = (path: string, folder: string): boolean =>
  path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);

function checkTarget(to: string): void {
  const isPlain = to.startsWith("/") && posix.normalize(to) === to && !to.endsWith("/");
  if (!isPlain || taken.some((path) => to === path || to.startsWith(`${path}/`)))
    throw new NikaError("invalid", `A sandbox cannot have something mounted at "${to}"; use a path such as /app.`);
}

async function resolved(from: string): Promise<string> {
  if (!from.startsWith("/")) throw new NikaError("invalid", `A mount is given by its whole path, not "${from}".`);
  try {
    return await realpath(from);
  } catch (error) {
    throw new NikaError("missing", `${from} was to be mounted into a sandbox and is not there.`, { cause: error });
  }
}

/** Read-only keeps files from being written, but what connects to a socket does not write a file. */
async function checkContent(from: string, source: string): Promise<void> {
  const { mode } = await stat(source);
  const isFolder = (mode & 0o170000) === 0o040000;
  if (!isFolder && (mode & 0o170000) !== 0o100000)
    throw new NikaError("denied", `${from} is neither a folder nor a file, so it may not be mounted into a sandbox.`);
  if ((mode & 0o004) === 0 || (isFolder && (mode & 0o001) === 0))
    throw new NikaError(
      "denied",
      `${from} cannot be read inside a sandbox, which runs as nobody; let others read it (chmod -R a+rX).`,
    );
  if (!isFolder) return;
  let entries = 0;
  const look = async (folder: string): Promise<void> => {
    const inner: string[] = [];
    for await (const entry of await opendir(folder, { bufferSize: 256 })) {
      if (++entries > entriesMax)
        throw new NikaError("denied", `${from} holds more than ${entriesMax} files, too many to mount into a sandbox.`);
      if (entry.isDirectory()) inner.push(join(folder, entry.name));
      else if (!entry.isFile() && !entry.isSymbolicLink())
        throw new NikaError(
          "denied",
          `${join(folder, entry.name)} is a socket, pipe or device, so ${from} may not be mounted into a sandbox.`,
        );
    }
    for (const one of inner) await look(one);
  };
  try {
    await look(source);
  } catch (error) {
    if (isNikaError(error)) throw error;
    throw new NikaError("denied", `${from} could not be looked through before mounting it into a sandbox.`, { cause: error });
  }
}
