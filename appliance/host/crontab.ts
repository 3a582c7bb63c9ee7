/**
 * A marked block in a crontab. What stands outside of it is the owner's and stays as it is, byte for byte; several Nikas on one machine
 * have a block each, named after their data directory.
 */
import { spawn } from "node:child_process";
import { NikaError } from "../../convex/model/error.ts";

export type Crontab = {
  /** All of it; empty when the user has none yet. Fails with `unavailable` where cron is not installed. */
  read(): Promise<string>;
  write(text: string): Promise<void>;
};

const replyMs = 10_000;

/** `user`: whose; that of this process when undefined (another's needs root). */
export function openCrontab({ user }: { readonly user: string | undefined }): Crontab {
  const whose = user === undefined ? [] : ["-u", user];
  return {
    async read() {
      const { code, stdout, stderr } = await crontab([...whose, "-l"]);
      if (code === 0) return stdout;
      if (/no crontab for/iu.test(stderr)) return "";
      throw refused(stderr);
    },
    async write(text) {
      const { code, stderr } = await crontab([...whose, "-"], text);
      if (code !== 0) throw refused(stderr);
    },
  };
}

const refused = (stderr: string): NikaError =>
  new NikaError("denied", `The crontab cannot be used: ${stderr.trim().split("\n")[0]?.slice(0, 200) || "no reason was given"}.`);

type Reply = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

async function crontab(args: readonly string[], input = ""): Promise<Reply> {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  const child = spawn("crontab", args, { stdio: ["pipe", "pipe", "pipe"], timeout: replyMs });
  const said = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (said.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said.stderr += text));
  child.on("error", (error: NodeJS.ErrnoException) => {
    reject(
      error.code === "ENOENT"
        ? new NikaError(
            "unavailable",
            "cron is not installed on this machine; install it (apt install cron), or keep the schedule with Nika.",
          )
        : error,
    );
  });
  child.on("close", (code) => resolve({ code, ...said }));
  // It may end without reading, for instance when the user may have no crontab; its exit tells.
  child.stdin.on("error", () => undefined).end(input);
  return promise;
}

const begin = (name: string): string => `# >>> nika ${name}: written by Nika, changes in here are lost`;
const finish = (name: string): string => `# <<< nika ${name}`;

/** The lines of the block of that name; undefined when there is none. */
export function blockIn(text: string, name: string): readonly string[] | undefined {
  const lines = text.split("\n");
  const from = lines.findIndex((line) => isBegin(line, name));
  if (from < 0) return undefined;
  const to = lines.indexOf(finish(name), from);
  // Without its end nobody can tell what is ours.
  return to < 0 ? lines.slice(from + 1, from + 1) : lines.slice(from + 1, to);
}

/** The crontab with the block in the place of the one before, or at its end; without lines there is no block. */
export function withBlock(text: string, name: string, block: readonly string[]): string {
  const lines = text === "" ? [] : text.replace(/\n$/u, "").split("\n");
  const from = lines.findIndex((line) => isBegin(line, name));
  const end = from < 0 ? -1 : lines.indexOf(finish(name), from);
  const mine = block.length === 0 ? [] : [begin(name), ...block, finish(name)];
  const all = from < 0 ? [...lines, ...mine] : [...lines.slice(0, from), ...mine, ...lines.slice(end < 0 ? from + 1 : end + 1)];
  return all.length === 0 ? "" : `${all.join("\n")}\n`;
}

const isBegin = (line: string, name: string): boolean => line.startsWith(`# >>> nika ${name}:`);

export type Drift = { readonly missing: readonly string[]; readonly foreign: readonly string[] };

/** How the block is not what it should be; undefined when it is. */
export function driftOf(text: string, name: string, block: readonly string[]): Drift | undefined {
  const found = blockIn(text, name) ?? [];
  const missing = block.filter((line) => !found.includes(line));
  const foreign = found.filter((line) => !block.includes(line));
  return missing.length === 0 && foreign.length === 0 ? undefined : { missing, foreign };
}
