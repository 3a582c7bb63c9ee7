/** An app in force, and what may be changed of it. */

export type HttpRoute = { readonly path: string; readonly method: string };

export type Deployment = {
  readonly functions: readonly {
    readonly path: string;
    readonly kind: "query" | "mutation" | "action";
    readonly visibility: "public" | "internal";
  }[];
  /** auth.config.ts, evaluated. */
  readonly authProviders: readonly Readonly<Record<string, unknown>>[];
  /** Exact paths, and prefixes that end in `*`. */
  readonly httpRoutes: readonly HttpRoute[];
  /** The same for apps that offer the same, whatever their functions do. */
  readonly fingerprint?: string;
};

/** Null removes it. */
export type EnvChange = { readonly name: string; readonly value: string | null };

/** What `npx convex` changes while clients stay connected. */
export type DeploymentChanges = {
  /** All of them, or, with DeveloperError, none. */
  setEnv(changes: readonly EnvChange[]): Promise<void>;
  /** False when the app is a folder that the embedding program named. */
  readonly canPush: boolean;
  /** The variables in force. */
  env(): Readonly<Record<string, string>>;
  /** Puts a pushed app in force; DeveloperError when it does not fit the rows or cannot be loaded. */
  push(app: string): Promise<void>;
  /** Called after every change. Returns how to stop listening. */
  onChange(listener: () => void): () => void;
};
