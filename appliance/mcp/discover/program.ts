/** Runs npm or pip: bounded in time and in what it may say, with nothing of Nika's environment but what leads to a registry. */
import { spawn } from "node:child_process";
import { NikaError } from "../../../convex/model/error.ts";

export type Variables = Readonly<Record<string, string | undefined>>;
export type Ran = { readonly code: number; readonly stdout: string; readonly stderr: string };
export type RunWish = {
  readonly cwd: string;
  readonly variables: Variables;
  readonly signal: AbortSignal;
  readonly limitMs: number;
  /** Told each line it writes on standard error. */
  readonly line?: (text: string) => void;
};

const outputCharsMax = 64 * 1024 * 1024;
const errorCharsKept = 20_000;

/** Where registries and proxies are configured, and where programs are found. Tokens of registries are theirs to have. */
const passed =
  /^(?:HOME|PATH|LANG|TMPDIR|USER|LOGNAME|npm_config_.*|NPM_CONFIG_.*|PIP_.*|https?_proxy|HTTPS?_PROXY|no_proxy|NO_PROXY|NODE_EXTRA_CA_CERTS|SSL_CERT_(?:FILE|DIR))$/;
export const registryVariables = (variables: Variables): Record<string, string> =>
  Object.fromEntries(
    Object.entries(variables).filter((one): one is [string, string] => passed.test(one[0]) && one[1] !== undefined),
  );

/** Resolves however it ends by itself. Fails with `missing` (no such program), `timeout`, `cancelled`. */
export async function runProgram(
  command: string,
  args: readonly string[],
  { cwd, variables, signal, limitMs, line }: RunWish,
): Promise<Ran> {
  signal.throwIfAborted();
  const limit = AbortSignal.timeout(limitMs);
  const child = spawn(command, args, {
    cwd,
    env: registryVariables(variables),
    stdio: ["ignore", "pipe", "pipe"],
    signal: AbortSignal.any([signal, limit]),
    killSignal: "SIGKILL",
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    if (stdout.length < outputCharsMax) stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-errorCharsKept);
    if (line) for (const one of text.split("\n")) if (one.trim() !== "") line(one);
  });
  return new Promise((done, fail) => {
    child.once("error", (error: NodeJS.ErrnoException) => {
      if (signal.aborted) fail(new NikaError("cancelled", "It was stopped.", { cause: error }));
      else if (limit.aborted)
        fail(new NikaError("timeout", `${command} took longer than ${Math.round(limitMs / 60_000)} minutes.`, { cause: error }));
      else if (error.code === "ENOENT")
        fail(new NikaError("missing", `There is no program "${command}" on this machine.`, { cause: error }));
      else fail(error);
    });
    child.once("close", (code) => {
      if (!signal.aborted && !limit.aborted) done({ code: code ?? -1, stdout, stderr });
    });
  });
}
