/** A service as its document describes it, whatever kind of document that was. Texts in here are the document's: not to be trusted yet. */
import type { Json } from "./json.ts";

export type Api = {
  readonly kind: "openapi" | "swagger" | "markdown";
  readonly title: string;
  readonly about: string;
  readonly version: string;
  /** Whole addresses, the best first; relative ones are resolved where the document's own address is known. */
  readonly servers: readonly string[];
  readonly schemes: ReadonlyMap<string, Scheme>;
  readonly operations: readonly Operation[];
  /** Calls a minute that the document names. */
  readonly perMinute: number | undefined;
  /** What could not be understood, a sentence each. */
  readonly notes: readonly string[];
  /** What references in schemas point into. */
  readonly root: Json;
};

export type Scheme =
  | { readonly kind: "apiKey"; readonly in: "header" | "query" | "cookie"; readonly parameter: string }
  | { readonly kind: "bearer" }
  | { readonly kind: "basic" }
  | {
      readonly kind: "oauth2";
      /** Of the code flow; undefined when the document only has flows without a person. */
      readonly authorizationUrl: string | undefined;
      readonly tokenUrl: string;
      readonly scopes: readonly string[];
    }
  /** Known by name, not how to use it. */
  | { readonly kind: "unknown"; readonly what: string };

export type Operation = {
  readonly method: string;
  /** With `{name}` where parameters go. */
  readonly path: string;
  /** Where not the document's own. */
  readonly server?: string;
  readonly id: string | undefined;
  readonly group: string;
  readonly summary: string;
  readonly description: string;
  readonly isDeprecated: boolean;
  readonly parameters: readonly Parameter[];
  readonly body: Body | undefined;
  /** Alternatives; each names the schemes needed together. An empty one needs nothing. */
  readonly security: readonly (readonly { readonly scheme: string; readonly scopes: readonly string[] }[])[];
  readonly answer: Answer | undefined;
};

export const places = ["path", "query", "header", "cookie"] as const;
export type Parameter = {
  readonly name: string;
  readonly in: (typeof places)[number];
  readonly isRequired: boolean;
  readonly description: string;
  readonly schema: unknown;
  /** As OpenAPI names them. */
  readonly style: string;
  readonly isExploded: boolean;
  /** Written as JSON. */
  readonly isJson: boolean;
  readonly example?: unknown;
};

export type Body = {
  readonly mediaType: string;
  readonly isRequired: boolean;
  readonly description: string;
  readonly schema: unknown;
  readonly example?: unknown;
};

export type Answer = {
  readonly status: number;
  readonly mediaType: string;
  readonly schema: unknown;
  readonly example?: unknown;
};

/** "60 requests per minute", "1000 req/hour", "100 requêtes par minute": calls a minute, at least 1. */
export function findRate(text: string): number | undefined {
  const found =
    /\b(\d{1,3}(?:[ ,.\u00A0\u202F]?\d{3})*|\d{1,7})\s*(?:api\s+)?(?:requests?|calls?|req|requ[êe]tes?|appels?)\s*(?:\/|per|par|each|every|a|an|chaque|toutes les)\s*(?:\d+\s*)?(s|sec|seconds?|secondes?|min|minutes?|h|hours?|heures?|days?|jours?)\b/iu.exec(
      text.slice(0, 200_000),
    );
  if (!found) return undefined;
  const count = Number((found[1] ?? "").replace(/\D/gu, ""));
  const unit = (found[2] ?? "").toLowerCase();
  const minutes = unit.startsWith("s") ? 1 / 60 : unit.startsWith("m") ? 1 : unit.startsWith("h") ? 60 : 1_440;
  return count > 0 ? Math.max(1, Math.floor(count / minutes)) : undefined;
}
