/** A plan as a file: written for the owner to edit, and read again with care, because code is made of it. */
import { fromJsonSchema } from "@modelcontextprotocol/server";
import { NikaError } from "../../../convex/model/error.ts";
import { toAlias, toolClasses } from "../../../convex/model/server.ts";
import { isObject } from "./json.ts";
import { styles, type Plan } from "./plan.ts";
import { isServicePath } from "./words.ts";

const text = (max: number): object => ({ type: "string", maxLength: max });
const matching = (pattern: string): object => ({ type: "string", pattern });
const list = (items: object, maxItems: number): object => ({ type: "array", items, maxItems });
const record = (properties: Record<string, object>, optional: readonly string[] = []): object => ({
  type: "object",
  properties,
  required: Object.keys(properties).filter((key) => !optional.includes(key)),
  additionalProperties: false,
});
const id = matching("^[a-z0-9_]{1,60}$");
const token = matching("^[\\w!#$%&'*+.^`|~-]{1,100}$");
const address = matching("^https?://[^\\s/?#@]+[^\\s]*$");
const anything = {};

/** The shape of `Plan`, as a schema. */
const planSchema = record({
  version: { const: 1 },
  name: matching("^[a-z0-9][a-z0-9-]{0,19}$"),
  title: text(80),
  about: text(300),
  source: record({ kind: text(20), from: text(2_000), sha256: matching("^[0-9a-f]{64}$") }),
  baseUrl: address,
  egress: list(matching("^[A-Za-z0-9.-]+:\\d{1,5}$"), 20),
  limits: record({
    callsPerMinute: { type: "integer", minimum: 1, maximum: 6_000 },
    timeoutMs: { type: "integer", minimum: 100, maximum: 300_000 },
    answerBytes: { type: "integer", minimum: 1_000, maximum: 16_777_216 },
  }),
  auth: list(
    record(
      {
        id,
        kind: { enum: ["apiKey", "bearer", "basic", "oauth2"] },
        in: { enum: ["header", "query", "cookie"] },
        parameter: token,
        secret: matching("^[A-Za-z][A-Za-z0-9._-]{0,63}$"),
        variable: matching("^[A-Z][A-Z0-9_]{0,99}$"),
        authorizationUrl: address,
        tokenUrl: address,
        scopes: list(matching("^[\\x21\\x23-\\x5B\\x5D-\\x7E]{1,200}$"), 100),
      },
      ["in", "parameter", "authorizationUrl", "tokenUrl", "scopes"],
    ),
    50,
  ),
  tools: {
    ...list(
      record(
        {
          name: id,
          group: id,
          title: text(80),
          description: text(1_000),
          class: { enum: [...toolClasses] },
          approval: { enum: ["never", "ask", "refuse"] },
          callsPerMinute: { type: "integer", minimum: 1, maximum: 6_000 },
          method: { enum: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] },
          path: text(500),
          parameters: list(
            record({
              name: text(300),
              in: { enum: ["path", "query", "header", "cookie"] },
              argument: matching("^[A-Za-z0-9_.-]{1,70}$"),
              style: { enum: [...styles] },
              explode: { type: "boolean" },
              json: { type: "boolean" },
            }),
            200,
          ),
          body: record({
            argument: matching("^[A-Za-z0-9_.-]{1,70}$"),
            kind: { enum: ["json", "form", "multipart", "text", "bytes"] },
            mediaType: matching("^[\\w.+-]{1,60}/[\\w.+-]{1,60}$"),
            files: list(text(100), 100),
          }),
          auth: list(id, 10),
          scopes: list(text(200), 100),
          input: { type: "object" },
          page: text(70),
          example: record({
            arguments: { type: "object" },
            answer: record({ status: { type: "integer", minimum: 200, maximum: 299 }, mediaType: text(100), body: anything }),
          }),
        },
        ["callsPerMinute", "body", "page", "example"],
      ),
      400,
    ),
    minItems: 1,
  },
  left: record({ count: { type: "integer" }, groups: list(anything, 1_000) }),
  notes: list(text(2_000), 1_000),
});

/** Fails with `invalid` and where in it something is wrong. */
export function readPlan(source: string): Plan {
  let value: unknown;
  try {
    value = JSON.parse(source, (key, inner: unknown) => (key === "__proto__" ? undefined : inner));
  } catch (cause) {
    throw new NikaError("invalid", `The plan is not JSON: ${cause instanceof Error ? cause.message : "it cannot be read"}.`, {
      cause,
    });
  }
  const verdict = fromJsonSchema(planSchema as Parameters<typeof fromJsonSchema>[0])["~standard"].validate(value);
  if (verdict instanceof Promise || verdict.issues !== undefined || !isObject(value)) {
    const [issue] = verdict instanceof Promise ? [] : (verdict.issues ?? []);
    throw new NikaError("invalid", `The plan cannot be used: ${issue?.message.slice(0, 300) ?? "it is no plan"}.`);
  }
  const plan = value as unknown as Plan;
  const wrong = problemIn(plan);
  if (wrong !== undefined) throw new NikaError("invalid", `The plan cannot be used: ${wrong}.`);
  return plan;
}

/** What a schema cannot say. */
function problemIn({ name, tools, auth, baseUrl }: Plan): string | undefined {
  if (toAlias(name) !== name) return `"${name}" cannot be part of a tool's name`;
  const base = URL.parse(baseUrl);
  if (!base || base.search !== "" || base.hash !== "" || base.username !== "")
    return "its service has an address with more than a host and a path";
  const names = new Set(Object.getOwnPropertyNames(Object.prototype));
  const ways = new Set(auth.map((way) => way.id));
  for (const tool of tools) {
    if (names.has(tool.name)) return `two tools are named ${tool.name}`;
    names.add(tool.name);
    if (!isServicePath(tool.path, base)) return `the path of ${tool.name} is none`;
    const unknown = tool.auth.find((one) => !ways.has(one));
    if (unknown !== undefined) return `${tool.name} signs in with "${unknown}", which is not described`;
    const properties = tool.input["properties"];
    const given = new Set(isObject(properties) ? Object.keys(properties) : []);
    const missing = [...tool.parameters, ...(tool.body ? [tool.body] : [])].find(({ argument }) => !given.has(argument));
    if (missing) return `${tool.name} writes "${missing.argument}", which is none of its arguments`;
    try {
      void fromJsonSchema(tool.input as Parameters<typeof fromJsonSchema>[0])["~standard"].validate({});
    } catch {
      return `what ${tool.name} takes is no JSON Schema`;
    }
  }
  return undefined;
}
