/** The ways in to a service: which of them the chosen tools need, and what the owner should know of them. */
import type { Api, Operation, Parameter, Scheme } from "./api.ts";
import type { Auth } from "./plan.ts";
import { namesOnce, poisonIn, toSnake } from "./words.ts";

export type Ways = {
  readonly all: readonly Auth[];
  readonly byScheme: ReadonlyMap<string, Auth>;
  readonly schemes: ReadonlyMap<string, Scheme>;
};

export function toAuth({ schemes }: Api, name: string, operations: readonly Operation[], told: (note: string) => void): Ways {
  const once = namesOnce();
  const byScheme = new Map<string, Auth>();
  const used = new Set(operations.flatMap(({ security }) => security.flatMap((all) => all.map(({ scheme }) => scheme))));
  for (const [key, scheme] of schemes) {
    if (!used.has(key)) continue;
    if (scheme.kind === "unknown") {
      told(`The way in "${toSnake(key)}" (${scheme.what}) is not understood.`);
      continue;
    }
    if (scheme.kind === "apiKey" && !/^[\w!#$%&'*+.^`|~-]{1,100}$/u.test(scheme.parameter)) {
      told(`The way in "${toSnake(key)}" was left out, because the name of its ${scheme.in} is none.`);
      continue;
    }
    const id = once(toSnake(key) || "auth");
    const stem = `${name.replaceAll("-", "_")}_${id}`.toUpperCase();
    const { kind } = scheme;
    const common = { id, secret: `${name}.${id}`.slice(0, 64), variable: /^\d/u.test(stem) ? `API_${stem}` : stem };
    if (kind === "apiKey") byScheme.set(key, { ...common, kind, in: scheme.in, parameter: scheme.parameter });
    else if (kind === "oauth2") {
      const { authorizationUrl, tokenUrl, scopes } = scheme;
      const isSafe = [authorizationUrl, tokenUrl].every((url) => url === undefined || isSecure(new URL(url)));
      if (!isSafe) told(`The way in "${id}" asks for tokens without encryption; a token of yours is taken instead.`);
      if (isSafe && authorizationUrl !== undefined) {
        const used = scopesOf(operations, key).filter((scope) => scopes.length === 0 || scopes.includes(scope));
        byScheme.set(key, {
          ...common,
          kind,
          authorizationUrl,
          tokenUrl,
          scopes: used.length > 0 ? used : scopes.filter(isScope).slice(0, 50),
        });
      } else {
        if (isSafe) told(`The way in "${id}" is OAuth without a page where you say yes; a token of yours is taken instead.`);
        byScheme.set(key, { ...common, kind: "bearer" });
      }
    } else byScheme.set(key, { ...common, kind });
  }
  return { all: [...byScheme.values()], byScheme, schemes };
}

export const isScope = (scope: string): boolean =>
  /^[\x21\x23-\x5B\x5D-\x7E]{1,200}$/u.test(scope) && poisonIn(scope).length === 0;

/** Only what the chosen tools need. */
const scopesOf = (operations: readonly Operation[], key: string): string[] => [
  ...new Set(
    operations
      .flatMap(({ security }) => security.flat().flatMap(({ scheme, scopes }) => (scheme === key ? scopes : [])))
      .filter(isScope),
  ),
];

/** Encrypted, or on this very machine. */
const isSecure = ({ protocol, hostname }: URL): boolean =>
  protocol === "https:" || hostname === "localhost" || /^127\.|^\[::1\]$/u.test(hostname);

/** The first alternative whose every way is understood; one that needs nothing only when there is no other. */
export function waysOf({ security }: Operation, { byScheme }: Ways): readonly string[] | undefined {
  if (security.length === 0) return [];
  const known = security.filter((all) => all.every(({ scheme }) => byScheme.has(scheme)));
  const chosen = known.find((all) => all.length > 0) ?? known[0];
  return chosen?.flatMap(({ scheme }) => byScheme.get(scheme)?.id ?? []);
}

/** Documents often list the key among the parameters, too; it is never an argument. */
export const isOfAuth = ({ in: place, name }: Parameter, way: Auth | undefined): boolean =>
  way !== undefined &&
  ((way.kind === "apiKey" && way.in === place && way.parameter?.toLowerCase() === name.toLowerCase()) ||
    (way.kind !== "apiKey" && place === "header" && name.toLowerCase() === "authorization"));

export function* warningsAbout(base: URL, { all }: Ways): Generator<string> {
  if (base.protocol === "http:" && all.length > 0 && !isSecure(base))
    yield `The service is reached without encryption (${base.origin}): what you sign in with can be read on its way.`;
  if (
    /^(?:localhost$|127\.|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|169\.254\.)/u.test(base.hostname) ||
    base.hostname.endsWith(".local")
  )
    yield `The service is on this machine or network (${base.host}): a sandbox reaches it only because it is on the list.`;
}
