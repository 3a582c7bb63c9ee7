/** The REST calls this store answers, one line each. What is not here is refused by name. */
import { aliasRoutes } from "./routes/aliases.ts";
import { collectionRoutes } from "./routes/collections.ts";
import { pointRoutes } from "./routes/points.ts";
import { serviceRoutes } from "./routes/service.ts";
import { snapshotRoutes } from "./routes/snapshots.ts";
import { badRequest } from "./refusal.ts";
import type { Route } from "./route.ts";

const routes: readonly Route[] = [...collectionRoutes, ...aliasRoutes, ...pointRoutes, ...snapshotRoutes, ...serviceRoutes];
const table = routes.map((route) => ({ route, segments: route.pattern.split("/") }));

/** The route for a request, with its placeholders; undefined when there is none. Exact segments win over placeholders. */
export function findRoute(method: string, pathname: string): { route: Route; path: Record<string, string> } | undefined {
  const segments = pathname.split("/");
  let found: { route: Route; path: Record<string, string> } | undefined;
  for (const { route, segments: pattern } of table) {
    if (route.method !== method || pattern.length !== segments.length) continue;
    const path = fill(pattern, segments);
    if (path && (!found || Object.keys(path).length < Object.keys(found.path).length)) found = { route, path };
  }
  return found;
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw badRequest(`the path holds a malformed escape: ${segment}`);
  }
}

function fill(pattern: readonly string[], segments: readonly string[]): Record<string, string> | undefined {
  const path: Record<string, string> = {};
  for (const [i, part] of pattern.entries()) {
    if (part.startsWith("{")) path[part.slice(1, -1)] = decoded(segments[i]!);
    else if (part !== segments[i]) return undefined;
  }
  return path;
}
