/**
 * What one conversation is offered by the servers it has to itself: those may list other things to it than to others. Never more than the owner
 * approved: a tool is shown when the server lists it here, word for word as it is in the lock.
 */
import type { Listing } from "./pool/kept.ts";
import type { Peer } from "./pool/peer.ts";
import type { Pool } from "./pool/pool.ts";
import { digestOf, toDefinition, wrapped, type Routes } from "./routes.ts";

export type View = Pick<Listing, "tools" | "prompts" | "resources" | "templates">;
export type Views = {
  /** As this conversation may use them; the pool's own where no server lists anything else to it. */
  routes(): Routes;
  /** Lists anew what a server offers here; at once for the first time, a moment later and once for many after that. */
  look(server: string, peer: Peer): void;
  /** Resolves when the first look at it is over, however that went. */
  first(server: string): Promise<void>;
  /** Whether it was looked at. */
  has(server: string): boolean;
  close(): void;
};
export type ViewsOptions = {
  readonly pool: Pick<Pool, "routes" | "noteView">;
  /** Told when what this conversation is offered has changed, and for nobody else. */
  readonly changed: () => void;
};

const settleMs = 50;
const lookMs = 10_000;

export function openViews({ pool, changed }: ViewsOptions): Views {
  const views = new Map<string, View>();
  /** The first look at each. */
  const looking = new Map<string, Promise<void>>();
  const timers = new Map<string, NodeJS.Timeout>();
  const closed = new AbortController();
  let made: { readonly from: Routes; readonly routes: Routes } | undefined;

  function routes(): Routes {
    const from = pool.routes();
    if (views.size === 0) return from;
    if (made?.from !== from) made = { from, routes: seenThrough(from, views) };
    return made.routes;
  }
  async function list(server: string, peer: Peer): Promise<void> {
    const before = routes().hash;
    try {
      const { tools, prompts, resources, templates } = await peer.list(
        AbortSignal.any([closed.signal, AbortSignal.timeout(lookMs)]),
      );
      if (closed.signal.aborted) return;
      const view = { tools, prompts, resources, templates };
      await pool.noteView(server, view);
      views.set(server, view);
    } catch {
      // It is asked again at its next news; until then it offers here what it did before.
      return;
    }
    made = undefined;
    if (routes().hash !== before && !closed.signal.aborted) changed();
  }
  return {
    routes,
    has: (server) => views.has(server),
    look(server, peer) {
      if (!views.has(server) && !looking.has(server)) looking.set(server, list(server, peer));
      else {
        // It said that its lists changed: what was asked before may be the old ones.
        clearTimeout(timers.get(server));
        timers.set(server, setTimeout(() => void list(server, peer), settleMs).unref());
      }
    },
    first: async (server) => looking.get(server),
    close() {
      closed.abort();
      for (const timer of timers.values()) clearTimeout(timer);
    },
  };
}

/** What is left of the pool's routes, and what they hold back for conversations that are offered it. */
function seenThrough(base: Routes, views: ReadonlyMap<string, View>): Routes {
  const digests = new Map(
    [...views].map(([server, { tools, prompts }]) => [
      server,
      {
        tools: new Set(tools.map((tool) => `${tool.name} ${digestOf(tool).sha256}`)),
        prompts: new Set(prompts.map((prompt) => `${prompt.name} ${digestOf(toDefinition(prompt)).sha256}`)),
      },
    ]),
  );
  const tools = [...base.tools, ...base.sometimes.tools].filter(
    ([name, { server, tool }]) => digests.get(server)?.tools.has(`${tool.name} ${digestOf(tool).sha256}`) ?? base.tools.has(name),
  );
  const prompts = [...base.prompts, ...base.sometimes.prompts].filter(
    ([name, { server, prompt }]) =>
      digests.get(server)?.prompts.has(`${prompt.name} ${digestOf(toDefinition(prompt)).sha256}`) ?? base.prompts.has(name),
  );
  const resources = new Map([...base.resources].filter(([, { server }]) => !views.has(server)));
  const templates = base.templates.filter(({ server }) => !views.has(server));
  for (const [server, view] of views) {
    // A server none of whose tools were looked at shows nothing else either.
    if (!base.open.has(server)) continue;
    for (const resource of view.resources)
      resources.set(resources.has(resource.uri) ? wrapped(server, resource.uri) : resource.uri, {
        server,
        uri: resource.uri,
        resource,
      });
    for (const template of view.templates) templates.push({ server, template });
  }
  const byName = <T>(entries: readonly (readonly [string, T])[]): Map<string, T> =>
    new Map(entries.toSorted(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0)));
  return {
    ...base,
    hash: JSON.stringify([
      base.hash,
      tools.map(([name]) => name),
      prompts.map(([name]) => name),
      [...resources.keys()],
      templates.map(({ template }) => template.uriTemplate),
    ]),
    tools: byName(tools),
    prompts: byName(prompts),
    resources,
    templates,
    toolsChars: tools.reduce((sum, [name, { tool }]) => sum + digestOf(tool).chars + name.length, 0),
  };
}
