/** All that installing takes, over a pool of its own: real npm and packages made by the test; sandboxes that hold nothing. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configFiles } from "../../../../appliance/mcp/pool/configFiles.ts";
import { openDeclared, type Declared } from "../../../../appliance/mcp/pool/declared.ts";
import { openDiscover, type Discover } from "../../../../appliance/mcp/discover/discover.ts";
import { groundOf } from "../../../../appliance/mcp/discover/ground.ts";
import { openPackages } from "../../../../appliance/mcp/discover/packages.ts";
import { openLauncher, type LaunchOptions } from "../../../../appliance/mcp/pool/launch.ts";
import { openPool, type Pool } from "../../../../appliance/mcp/pool/pool.ts";
import type { InstallResult, InstallWish } from "../../../../convex/model/install.ts";
import type { RegistrySetting } from "../../../../convex/model/registry.ts";
import type { Sandboxes } from "../../../../functions/ports/sandboxes.ts";
import { fakeSandboxes } from "../../../fakes/sandboxes.ts";

export type DiscoverPlace = {
  readonly dir: string;
  readonly pool: Pool;
  readonly discover: Discover;
  readonly declared: Declared;
  reload(): Promise<void>;
  /** What was said while it was being installed. */
  readonly steps: string[];
  install(name: string, more?: Partial<InstallWish>): Promise<InstallResult>;
  info(
    name: string,
    more?: object,
  ): Promise<Record<string, unknown> & { readonly warnings: readonly { readonly code: string; readonly isGrave: boolean }[] }>;
  close(): Promise<void>;
};
type Wish = {
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly registries?: readonly RegistrySetting[];
  readonly sandboxes?: Sandboxes;
  readonly secrets?: Readonly<Record<string, string>>;
};

/** What stands in a sandbox at `/srv/…` stands here where it came from. */
function outside(sandboxes: Sandboxes): Sandboxes {
  return {
    ...sandboxes,
    open(spec, signal) {
      const back = (word: string): string => {
        const mount = spec.mounts.find(({ to }) => word.startsWith(`${to}/`));
        return mount ? mount.from + word.slice(mount.to.length) : word === "/usr/local/bin/node" ? "node" : word;
      };
      return sandboxes.open({ ...spec, command: spec.command.map(back), mounts: [] }, signal);
    },
  };
}

export function openDiscoverPlace(wish: Wish): DiscoverPlace {
  const dir = mkdtempSync(join(tmpdir(), "nika-discover-"));
  const log = (): void => undefined;
  const now = (): number => Date.now();
  const packages = openPackages({ dataDir: dir, log });
  const secret = (name: string): Promise<string | undefined> => Promise.resolve(wish.secrets?.[name]);
  const launch: LaunchOptions = {
    dataDir: dir,
    sandboxes: wish.sandboxes ?? outside(fakeSandboxes()),
    variables: {},
    secret,
    log,
    check: (config) => packages.check(config, pool.locks()[config.name]),
  };
  const launcher = openLauncher(launch);
  const pool: Pool = openPool({ dataDir: dir, version: "0", launcher, log, now });
  const files = configFiles({ dataDir: dir, sharedFile: join(dir, "none.json") });
  const reload = (): Promise<void> => pool.apply(files.read());
  const state = {
    query: () => Promise.resolve(wish.registries ?? []) as Promise<never>,
    mutation: () => Promise.resolve(false) as Promise<never>,
  };
  const ground = groundOf(pool, reload);
  const discover = openDiscover({
    dataDir: dir,
    version: "0",
    state,
    secrets: { find: secret },
    variables: wish.variables,
    packages,
    launcher,
    ground,
    log,
    now,
  });
  const declared = openDeclared({ dataDir: dir, pool, discover, packages, reload, decide: log });
  const steps: string[] = [];
  const never = new AbortController().signal;
  return {
    dir,
    pool,
    discover,
    declared,
    reload,
    steps,
    install: (name, more = {}) =>
      discover.port.install(
        { name, values: {}, args: [], env: {}, secrets: [], egress: [], mounts: [], despiteWarnings: false, ...more },
        { signal: never, step: (step) => void steps.push(step) },
      ),
    info: async (name, more = {}) => (await discover.answer("info", { name, ...more }, never)) as never,
    async close() {
      await pool.close();
      discover.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
