/** Three tools in the place of many: what they are called, and how two of them find and describe the others. The third is a call like any. */
import type { Result } from "@modelcontextprotocol/server";
import { searchTools } from "../../convex/model/tool.ts";
import { refused, said } from "./answer.ts";
import type { Routes } from "./routes.ts";

export const metaTools = [
  {
    name: "search_tools",
    title: "Find a tool",
    description:
      "Finds tools by what they do. There are more than are listed here; search before you say that something cannot be done.",
    inputSchema: {
      type: "object",
      properties: {
        query: { type: "string", description: "What it should do, in a few words." },
        limit: { type: "integer", minimum: 1, maximum: 50 },
      },
      required: ["query"],
    },
    annotations: { readOnlyHint: true, openWorldHint: false },
  },
  {
    name: "describe_tool",
    title: "How a tool is called",
    description: "A tool's description and the schema of its arguments.",
    inputSchema: {
      type: "object",
      properties: { name: { type: "string", description: "As search_tools gave it." } },
      required: ["name"],
    },
    annotations: { readOnlyHint: true, openWorldHint: false },
  },
  {
    name: "call_tool",
    title: "Call a tool",
    description: "Calls a tool that search_tools found. Look at it with describe_tool first.",
    inputSchema: {
      type: "object",
      properties: { name: { type: "string" }, arguments: { type: "object", description: "As the tool's own schema has them." } },
      required: ["name"],
    },
  },
];

/** Answers `search_tools` and `describe_tool`; what was asked wrongly is refused in words. */
export function searchRoutes(routes: Routes, name: string, args: Readonly<Record<string, unknown>>): Result {
  const all = [...routes.tools.values()];
  if (name === "describe_tool") {
    const route = typeof args["name"] === "string" ? routes.tools.get(args["name"]) : undefined;
    if (!route) return refused("missing: There is no such tool; search_tools finds them.");
    return said({ ...route.tool, name: route.publicName });
  }
  const { query = "", limit = 10 } = args;
  if (typeof query !== "string" || typeof limit !== "number") return refused("invalid: Give words to look for.");
  const texts = all.map(({ publicName, tool }) => ({
    name: publicName,
    text: `${tool.title ?? ""} ${tool.description ?? ""} ${Object.keys((tool.inputSchema["properties"] as object | undefined) ?? {}).join(" ")}`,
    description: (tool.description ?? tool.title ?? "").slice(0, 300),
  }));
  const found = searchTools(texts, query, Math.min(50, Math.max(1, limit)));
  return said({
    tools: found.map(({ name: publicName, description }) => ({ name: publicName, description })),
    total: all.length,
  });
}
