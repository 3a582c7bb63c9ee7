/** Which servers there are and what is known of them, running or not; whoever wants to know is told a moment after it changed. */
import { join } from "node:path";
import { NikaError } from "../../../convex/model/error.ts";
import type { ConfigProblem, OffServer } from "../../../convex/model/server.ts";
import { keep, type Catalog, type Kept, type Lock } from "./kept.ts";
import { toRoutes, type Routes } from "../routes.ts";
import type { Slot } from "./slot.ts";

export type Registry = {
  readonly slots: Map<string, Slot>;
  readonly catalog: Kept<Catalog>;
  readonly lock: Kept<Lock>;
  /** Of the configuration as it was last read. */
  problems: readonly ConfigProblem[];
  /** Declared there and turned off. */
  off: readonly OffServer[];
  /** Aborted when the pool closes. */
  readonly stopped: AbortController;
  /** Fails with `missing`, or with `invalid` for one whose configuration cannot be read. */
  get(server: string): Slot;
  routes(): Routes;
  /** Makes routes anew after what they are made of changed. */
  reroute(): void;
  /** Says that how a server stands changed. */
  changed(): void;
  onRoutes(listener: () => void): () => void;
  onStanding(listener: () => void): () => void;
  close(): void;
};
export type RegistryOptions = {
  readonly dataDir: string;
  readonly reserved: ReadonlySet<string>;
  readonly log: (line: string) => void;
};

/** So long after a change others are told, once for many. */
export const settleMs = 250;

/** Knows of no server yet, but of what earlier ones offered and what was approved. */
export function openRegistry({ dataDir, reserved, log }: RegistryOptions): Registry {
  const catalog = keep<Catalog>(join(dataDir, "mcp", "catalog.json"), log);
  const lock = keep<Lock>(join(dataDir, "mcp", "lock.json"), log);
  const slots = new Map<string, Slot>();
  const routeNews = openNews();
  const standingNews = openNews();
  let routes: Routes = toRoutes([], { catalog: {}, lock: {}, reserved });

  const registry: Registry = {
    slots,
    catalog,
    lock,
    problems: [],
    off: [],
    stopped: new AbortController(),
    get(server) {
      const slot = slots.get(server);
      if (slot) return slot;
      const broken = registry.problems.find((one) => one.server === server);
      if (broken)
        throw new NikaError("invalid", `"${server}" cannot be used: ${broken.key} in ${broken.file}: ${broken.message}`);
      if (registry.off.some((one) => one.name === server))
        throw new NikaError("unavailable", `"${server}" is turned off; turn it on with \`nika mcp on ${server}\`.`);
      throw new NikaError("missing", `There is no MCP server named "${server}"; see \`nika mcp list\`.`);
    },
    routes: () => routes,
    reroute() {
      const before = routes.hash;
      const configs = [...slots.values()].map(({ config }) => config);
      routes = toRoutes(configs, { catalog: catalog.value, lock: lock.value, reserved });
      standingNews.tell();
      if (routes.hash !== before) routeNews.tell();
    },
    changed: standingNews.tell,
    onRoutes: routeNews.listen,
    onStanding: standingNews.listen,
    close() {
      routeNews.close();
      standingNews.close();
    },
  };
  return registry;
}

function openNews() {
  const listeners = new Set<() => void>();
  let timer: NodeJS.Timeout | undefined;
  return {
    tell(): void {
      timer ??= setTimeout(() => {
        timer = undefined;
        for (const listener of listeners) listener();
      }, settleMs).unref();
    },
    listen(listener: () => void): () => void {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: (): void => clearTimeout(timer),
  };
}
