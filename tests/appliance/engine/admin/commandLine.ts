/** Convex's own command line, run in a project folder of its own against a served engine. */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { openDeployable } from "../../../../appliance/engine/deploy/deployable.ts";
import { openCore } from "../../../../appliance/engine/openCore.ts";
import { adminKey, serve, type Served } from "../served.ts";

const nodeModules = fileURLToPath(new URL("../../../../node_modules", import.meta.url));

export type Printed = { readonly out: string; readonly err: string; readonly code: number };
export type Project = AsyncDisposable & {
  readonly served: Served;
  /** Holds the project that the command line sees. */
  readonly folder: string;
  convex(...args: string[]): Promise<Printed>;
  write(files: Readonly<Record<string, string>>): void;
  restart(): Promise<void>;
};

type Options = {
  readonly functionsDir?: string;
  readonly env?: Record<string, string>;
  readonly key?: string;
  /** What the command line finds in its own environment. */
  readonly shell?: Record<string, string>;
};

export async function openProject(options: Options = {}): Promise<Project> {
  const folder = mkdtempSync(join(tmpdir(), "nika-project-"));
  const open = (dir: string, origin: () => string) =>
    openDeployable({ dir, functionsDir: options.functionsDir, env: options.env ?? {}, origin, log: () => undefined }, openCore);
  const served = await serve(open);
  symlinkSync(nodeModules, join(folder, "node_modules"));
  const write = (files: Readonly<Record<string, string>>): void => {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
  };
  write({ "package.json": JSON.stringify({ name: "project", private: true, type: "module", dependencies: { convex: "*" } }) });
  return {
    served,
    folder,
    write,
    convex: (...args) =>
      new Promise((resolve) => {
        const child = execFile(
          process.execPath,
          [join(nodeModules, "convex/bin/main.js"), ...args],
          {
            cwd: folder,
            timeout: 60_000,
            env: {
              PATH: process.env["PATH"],
              HOME: folder,
              CI: "1",
              NO_COLOR: "1",
              CONVEX_SELF_HOSTED_URL: served.url,
              CONVEX_SELF_HOSTED_ADMIN_KEY: options.key ?? adminKey,
              ...options.shell,
            },
          },
          (error, out, err) => resolve({ out, err, code: error ? Number(error.code ?? 1) : 0 }),
        );
        child.stdin?.end();
      }),
    restart: () => served.restart(open),
    [Symbol.asyncDispose]: async () => {
      await served[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
