/** mcp.toml: where the service is, how one signs in, and how much it may be called. Nika reads the same file for what this server may do. */
import { readFileSync } from "node:fs";
import { parse, type TomlTable, type TomlValue } from "smol-toml";

export type Manifest = {
  readonly name: string;
  readonly title: string;
  readonly about: string;
  readonly version: string;
  readonly baseUrl: string;
  readonly callsPerMinute: number;
  readonly timeoutMs: number;
  /** Of one answer. */
  readonly answerBytes: number;
  readonly auth: ReadonlyMap<string, Way>;
  /** By tool; what is not named here is not served. */
  readonly tools: ReadonlyMap<string, { readonly callsPerMinute: number | undefined }>;
};

/** How a request shows who asks. The secret itself is in a variable of the environment. */
export type Way = {
  readonly kind: "apiKey" | "bearer" | "basic" | "oauth2";
  readonly in: "header" | "query" | "cookie";
  /** Of a key: the name of the header, parameter or cookie. */
  readonly parameter: string;
  readonly variable: string;
  /** Its name in Nika's store. */
  readonly secret: string;
};

/** Fails with a sentence that names what is wrong with the file. */
export function readManifest(file: string): Manifest {
  const root = parse(readFileSync(file, "utf8"));
  const limits = table(root, "limits");
  return {
    name: text(root, "name"),
    title: text(root, "title"),
    about: text(root, "about"),
    version: text(root, "version"),
    baseUrl: text(root, "base_url"),
    callsPerMinute: count(limits, "calls_per_minute"),
    timeoutMs: count(limits, "timeout_ms"),
    answerBytes: count(limits, "answer_bytes"),
    auth: new Map(Object.entries(table(root, "auth")).map(([id, way]) => [id, toWay(asTable(way, `auth.${id}`))])),
    tools: new Map(
      Object.entries(table(root, "tools")).map(([name, said]) => {
        const own = asTable(said, `tools.${name}`);
        return [name, { callsPerMinute: "calls_per_minute" in own ? count(own, "calls_per_minute") : undefined }];
      }),
    ),
  };
}

function toWay(way: TomlTable): Way {
  const kind = (["apiKey", "bearer", "basic", "oauth2"] as const).find((one) => one === way["kind"]);
  if (!kind) throw new Error("mcp.toml: auth has a kind that is not understood.");
  const place = (["header", "query", "cookie"] as const).find((one) => one === way["in"]) ?? "header";
  const parameter = typeof way["parameter"] === "string" ? way["parameter"] : "authorization";
  return { kind, in: place, parameter, variable: text(way, "variable"), secret: text(way, "secret") };
}

function table(holder: TomlTable, key: string): TomlTable {
  return asTable(holder[key] ?? {}, key);
}

function asTable(value: TomlValue, key: string): TomlTable {
  if (typeof value !== "object" || Array.isArray(value) || value instanceof Date)
    throw new Error(`mcp.toml: "${key}" must be a table.`);
  return value;
}

function text(holder: TomlTable, key: string): string {
  const value = holder[key];
  if (typeof value !== "string") throw new Error(`mcp.toml: "${key}" must be a text.`);
  return value;
}

function count(holder: TomlTable, key: string): number {
  const value = holder[key];
  if (typeof value !== "number" || !Number.isInteger(value) || value < 1)
    throw new Error(`mcp.toml: "${key}" must be a whole number from 1.`);
  return value;
}
