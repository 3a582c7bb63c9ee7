/** One operation of the service as a tool: what a model is told of it, and how its arguments become a request. */
export type Tool = {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** What a call does to the service; mcp.toml says whether it may. */
  readonly class: "read" | "write" | "destructive";
  /** JSON Schema of its arguments. */
  readonly input: Readonly<Record<string, unknown>>;
  readonly request: RequestShape;
};

export type RequestShape = {
  readonly method: string;
  /** Below the service's address, with `{name}` where path parameters go. */
  readonly path: string;
  readonly parameters: readonly Parameter[];
  readonly body?: Body;
  /** Ways in, by their names in mcp.toml; all of them are needed. */
  readonly auth: readonly string[];
};

export type Parameter = {
  /** On the wire. */
  readonly name: string;
  readonly in: "path" | "query" | "header" | "cookie";
  readonly argument: string;
  /** How lists and objects are written, as OpenAPI has it. */
  readonly style: "simple" | "form" | "spaceDelimited" | "pipeDelimited" | "deepObject";
  readonly explode: boolean;
  /** Written as JSON. */
  readonly json: boolean;
};

export type Body = {
  readonly argument: string;
  readonly kind: "json" | "form" | "multipart" | "text" | "bytes";
  readonly mediaType: string;
  /** Of multipart: properties that are files, given as {name, type, base64}. */
  readonly files: readonly string[];
};

export type Arguments = Readonly<Record<string, unknown>>;

/** Something to tell whoever called, in a sentence. */
export class ToolError extends Error {
  override readonly name = "ToolError";
}
