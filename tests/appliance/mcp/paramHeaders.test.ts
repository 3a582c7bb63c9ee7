/** Arguments that travel in headers, too (`x-mcp-header`, MCP 2026-07-28). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { disagreement, faultIn, headersFor } from "../../../appliance/mcp/paramHeaders.ts";
import type { ToolDefinition } from "../../../convex/model/tool.ts";

const toolOf = (inputSchema: object): ToolDefinition => ({ name: "t", inputSchema }) as unknown as ToolDefinition;
const marked = (header: unknown, type: unknown = "string"): object => ({ type, "x-mcp-header": header });
const tool = toolOf({
  type: "object",
  properties: {
    region: marked("Region"),
    count: marked("Count", "integer"),
    deep: { type: "object", properties: { on: marked("On", "boolean") } },
    plain: { type: "string", enum: ["x-mcp-header"] },
  },
});

test("each is sent as it is, or in base64 when a header cannot hold it; what is not there is not sent", () => {
  assert.deepEqual(headersFor(tool, { region: "us west", count: 42, deep: { on: false }, plain: "x" }), {
    "Mcp-Param-Region": "us west",
    "Mcp-Param-Count": "42",
    "Mcp-Param-On": "false",
  });
  const inBase64 = (text: string): string => `=?base64?${Buffer.from(text).toString("base64")}?=`;
  for (const text of ["世界", " padded", "a\r\nInjected: yes", "", "=?base64?eA==?="])
    assert.deepEqual(headersFor(tool, { region: text }), { "Mcp-Param-Region": inBase64(text) });
  assert.deepEqual(headersFor(tool, { region: null, count: Number.NaN, deep: {} }), {});
  assert.equal(headersFor(toolOf({ type: "object", properties: { a: { type: "string" } } }), { a: "x" }), undefined);
});

test("a tool whose marks cannot be followed is told, and why", () => {
  assert.equal(faultIn(tool), undefined);
  for (const [properties, why] of [
    [{ a: marked("") }, /no name of a header/],
    [{ a: marked("a b") }, /no name of a header/],
    [{ a: marked("A\r\nB") }, /no name of a header/],
    [{ a: marked("A", "number") }, /whole numbers/],
    [{ a: marked("A", "object") }, /whole numbers/],
    [{ a: marked("A"), b: marked("a") }, /Two arguments/],
    [{ a: { type: "array", items: marked("A") } }, /no argument is sure/],
    [{ a: { anyOf: [{ type: "object", properties: { b: marked("B") } }] } }, /no argument is sure/],
  ] as const)
    assert.match(faultIn(toolOf({ type: "object", properties })) ?? "", why, JSON.stringify(properties));
});

test("headers that are missing, otherwise than the argument, or badly encoded are found", () => {
  const headers = (given: Record<string, string>): Headers => new Headers(given);
  const args = { region: "世界", count: 42 };
  const good = headersFor(tool, args) ?? {};
  assert.equal(disagreement(tool, args, headers(good)), undefined);
  assert.equal(disagreement(tool, args, headers({ ...good, "Mcp-Param-Count": "42.0" })), undefined);
  assert.match(disagreement(tool, args, headers({ ...good, "Mcp-Param-Count": "43" })) ?? "", /is not what/);
  assert.match(disagreement(tool, args, headers({ "Mcp-Param-Count": "42" })) ?? "", /is missing/);
  assert.match(disagreement(tool, args, headers({ ...good, "Mcp-Param-Region": "=?base64?%%?=" })) ?? "", /not well encoded/);
  assert.equal(disagreement(tool, {}, headers({ "Mcp-Param-Region": "whatever" })), undefined);
});
