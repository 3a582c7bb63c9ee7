/**
 * Arguments that a tool wants to see in headers, too (`x-mcp-header`, MCP 2026-07-28 over HTTP): infrastructure on the way may route by them without
 * reading the body. Which those are is read from the tool's own definition, so that a tool with another name in front keeps them.
 */
import type { ToolDefinition } from "../../convex/model/tool.ts";
import { isRecord } from "./meta.ts";

const key = "x-mcp-header";
/** Of a tool that cannot be called over HTTP: whose annotations no client may follow. */
type Fault = { readonly fault: string };
type Mirror = { readonly path: readonly string[]; readonly header: string; readonly isNumber: boolean };

const known = new WeakMap<object, readonly Mirror[] | Fault>();
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const typesAllowed = new Set<unknown>(["string", "integer", "boolean"]);

/** What is wrong with its annotations; undefined for nothing. */
export function faultIn(tool: ToolDefinition): string | undefined {
  const found = mirrorsOf(tool);
  return "fault" in found ? found.fault : undefined;
}

/** Undefined when it wants none. */
export function headersFor(tool: ToolDefinition, args: unknown): Record<string, string> | undefined {
  const found = mirrorsOf(tool);
  if ("fault" in found || found.length === 0) return undefined;
  const headers: Record<string, string> = {};
  for (const { path, header } of found) {
    const text = textOf(valueAt(args, path));
    if (text !== undefined) headers[header] = encode(text);
  }
  return headers;
}

/** How headers and arguments of a call disagree; undefined when they do not. */
export function disagreement(
  tool: ToolDefinition,
  args: unknown,
  headers: { get(name: string): string | null },
): string | undefined {
  const found = mirrorsOf(tool);
  if ("fault" in found) return undefined;
  for (const { path, header, isNumber } of found) {
    const value = valueAt(args, path);
    const text = textOf(value);
    if (text === undefined) continue;
    const given = headers.get(header);
    if (given === null) return `The header ${header} is missing; it repeats the argument ${path.join(".")}.`;
    const decoded = decode(given);
    if (decoded === undefined) return `The header ${header} is not well encoded.`;
    const isSame = isNumber && typeof value === "number" && decoded.trim() !== "" ? Number(decoded) === value : decoded === text;
    if (!isSame) return `The header ${header} is not what the argument ${path.join(".")} is.`;
  }
  return undefined;
}

function mirrorsOf(tool: ToolDefinition): readonly Mirror[] | Fault {
  const schema = tool.inputSchema as object;
  const before = known.get(schema);
  if (before) return before;
  const mirrors: Mirror[] = [];
  const names = new Set<string>();
  const fault = look(schema, [], true, (path, node) => {
    const { [key]: name, type } = node;
    const where = path.join(".");
    if (path.length === 0) return `${key} stands where there is no argument.`;
    if (typeof name !== "string" || !token.test(name)) return `${key} of "${where}" is no name of a header.`;
    if (!typesAllowed.has(type)) return `${key} of "${where}" is for texts, whole numbers and truth values alone.`;
    if (names.has(name.toLowerCase())) return `Two arguments want the header ${name}.`;
    names.add(name.toLowerCase());
    mirrors.push({ path, header: `Mcp-Param-${name}`, isNumber: type === "integer" });
    return undefined;
  });
  const found = fault === undefined ? mirrors : { fault };
  known.set(schema, found);
  return found;
}

type Look = (path: readonly string[], node: Record<string, unknown>) => string | undefined;

/** An argument is reached by `properties` alone; annotations anywhere else cannot be followed. */
function look(node: unknown, path: readonly string[], isReached: boolean, found: Look): string | undefined {
  if (Array.isArray(node)) {
    for (const one of node) {
      const fault = look(one, path, false, found);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }
  if (!isRecord(node)) return undefined;
  if (key in node) {
    const fault = isReached ? found(path, node) : `${key} stands where no argument is sure to be ("${path.join(".")}").`;
    if (fault !== undefined) return fault;
  }
  for (const [name, child] of Object.entries(node)) {
    if (name === "properties" && isRecord(child)) {
      for (const [argument, schema] of Object.entries(child)) {
        const fault = look(schema, [...path, argument], isReached, found);
        if (fault !== undefined) return fault;
      }
      continue;
    }
    // What an argument may be is no schema.
    if (name === key || name === "enum" || name === "const" || name === "default" || name === "examples") continue;
    const fault = look(child, path, false, found);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function valueAt(args: unknown, path: readonly string[]): unknown {
  let value: unknown = args;
  for (const name of path) {
    if (!isRecord(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  return value;
}

/** Of what is there and can be told exactly. */
function textOf(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value === "boolean") return String(value);
  return typeof value === "number" && (Number.isSafeInteger(value) || (Number.isFinite(value) && !Number.isInteger(value)))
    ? String(value)
    : undefined;
}

const [before, after] = ["=?base64?", "?="];

/** As it is when a header can hold it so, else in base64. */
function encode(text: string): string {
  const isPlain =
    text !== "" && /^[\t\x20-\x7e]*$/.test(text) && text === text.trim() && !(text.startsWith(before) && text.endsWith(after));
  return isPlain ? text : `${before}${Buffer.from(text, "utf8").toString("base64")}${after}`;
}

function decode(text: string): string | undefined {
  if (!text.startsWith(before) || !text.endsWith(after)) return text;
  const inner = text.slice(before.length, -after.length);
  const bytes = Buffer.from(inner, "base64");
  if (bytes.toString("base64") !== inner) return undefined;
  const decoded = bytes.toString("utf8");
  return Buffer.from(decoded, "utf8").equals(bytes) ? decoded : undefined;
}
