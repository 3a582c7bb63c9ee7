/**
 * Brings `convex/` onto a Convex backend that runs elsewhere, with Convex's own command line: the embedded engine loads the folder
 * itself and needs none of this.
 */
import { spawn } from "node:child_process";
import { NikaError } from "../convex/model/error.ts";
import type { Log } from "./log.ts";

export type DeployOptions = {
  /** Root of the installation: holds convex/ and node_modules/. */
  readonly rootDir: string;
  readonly url: string;
  readonly adminKey: string;
  /** Variables the functions read; public values only, since they pass through the command line. */
  readonly variables: Readonly<Record<string, string>>;
  readonly log: Log;
};

/** Sets the variables, then deploys; both change nothing when nothing is new. Fails with `unavailable`. */
export async function deployFunctions(options: DeployOptions): Promise<void> {
  for (const [name, value] of Object.entries(options.variables)) await convex(options, ["env", "set", name, value]);
  await convex(options, ["deploy", "--yes", "--typecheck", "disable", "--codegen", "disable"]);
}

function convex(options: DeployOptions, words: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["node_modules/convex/bin/main.js", ...words], {
      cwd: options.rootDir,
      // The key goes by environment, because a command line can be read by every process of the machine.
      env: {
        PATH: "/usr/bin:/bin",
        HOME: options.rootDir,
        CI: "1",
        CONVEX_SELF_HOSTED_URL: options.url,
        CONVEX_SELF_HOSTED_ADMIN_KEY: options.adminKey,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let said = "";
    child.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
    child.once("error", (error) => reject(new NikaError("bug", "Convex's command line could not be started.", { cause: error })));
    child.once("close", (code) => {
      if (code === 0) return resolve();
      options.log(`deploy: convex ${words[0] ?? ""} failed\n${said}`);
      reject(new NikaError("unavailable", `The Convex backend at ${options.url} did not take the functions; the log says why.`));
    });
  });
}
