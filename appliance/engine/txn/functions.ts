/** The app's functions by name, as analysis found them. */
import type { Validator } from "../codec/validator.ts";

export type FunctionEntry = {
  /** `dir/mod:fn` */
  readonly path: string;
  readonly kind: "query" | "mutation" | "action";
  readonly visibility: "public" | "internal";
  readonly args: Validator;
  readonly returns: Validator | null;
  /** Its module says "use node". */
  readonly isNode?: true;
};

/** One spelling for `messages.js:list`, `messages:list`, `messages` and `messages:default`. */
export function canonicalPath(text: string): string {
  const colon = text.lastIndexOf(":");
  const module = (colon < 0 ? text : text.slice(0, colon)).replace(/\.(js|ts)$/, "");
  return `${module}:${colon < 0 ? "default" : text.slice(colon + 1)}`;
}

/** As `_scheduled_functions.name` writes it. */
export function modulePath(path: string): string {
  const colon = path.lastIndexOf(":");
  return `${path.slice(0, colon)}.js${path.slice(colon)}`;
}

const handlePrefix = "function://nika/";

export function toHandle(path: string): string {
  return handlePrefix + path;
}

/** The function that a call, a schedule or a handle names; undefined for a component's. */
export function addressedPath(address: { name?: unknown; reference?: unknown; functionHandle?: unknown }): string | undefined {
  if (typeof address.name === "string") return canonicalPath(address.name);
  if (typeof address.functionHandle === "string" && address.functionHandle.startsWith(handlePrefix))
    return canonicalPath(address.functionHandle.slice(handlePrefix.length));
  return undefined;
}
