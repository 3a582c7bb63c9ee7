/** What the document says of each tool: a call, the request it must become, and an answer. Written anew for each server. */
export type Case = {
  readonly tool: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly expected: Expected;
  readonly answer: { readonly status: number; readonly mediaType: string; readonly body: unknown };
};

export type Expected = {
  readonly method: string;
  /** As it stands in the request line, encoded. */
  readonly path: string;
  /** Decoded, in any order. */
  readonly query: readonly (readonly [string, string])[];
  readonly headers: Readonly<Record<string, string>>;
  readonly body: ExpectedBody;
};

export type ExpectedBody =
  | { readonly kind: "none" }
  | { readonly kind: "json"; readonly value: unknown }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "bytes"; readonly base64: string }
  /** Fields by name, in any order; of files, what they hold. */
  | { readonly kind: "fields"; readonly fields: readonly (readonly [string, string])[] };

export const cases: readonly Case[] = [];
