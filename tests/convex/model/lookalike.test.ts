/** Names that are made to be taken for others. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { lookalikes, skeleton, slips, wellKnown } from "../../../convex/model/lookalike.ts";

const codesOf = (name: string, known: readonly string[] = wellKnown): string[] => lookalikes(name, known).map(({ code }) => code);

test("names that are a slip away from known ones are marked, each in its way", () => {
  const marked: [string, string][] = [
    ["@modelcontextprotocol/server-memroy", "lookalike"],
    ["@modelcontextprotocol/server-filesytem", "lookalike"],
    ["@modelcontextprotocol/servers-memory", "lookalike"],
    ["@modelcontextprotocol/server-mem0ry", "letters"],
    ["@rnodelcontextprotocol/server-memory", "letters"],
    ["@modelcontextprotoco1/server-memory", "letters"],
    ["mcp-server-tirne", "letters"],
    ["mcp_server_fetch", "letters"],
    ["mcp-server-fеtch", "letters"],
    ["@modelcontextprotocols/server-new", "scope"],
    ["server-memory", "scope"],
    ["@somebody/server-filesystem", "scope"],
    ["firecrawl-mpc", "lookalike"],
  ];
  for (const [name, code] of marked) assert(codesOf(name).includes(code), `${name}: ${codesOf(name).join()}`);
});

test("known names, and names of their own, are not", () => {
  for (const name of [...wellKnown, "@acme/warehouse-mcp", "mcp-server-kubernetes", "weather", "@stripe/agent-toolkit", "tiny"])
    assert.deepEqual(lookalikes(name, wellKnown), [], name);
});

test("what is installed counts as known, too", () => {
  assert.deepEqual(codesOf("io.github.acme/warehouze", ["io.github.acme/warehouse"]), ["lookalike"]);
  assert.deepEqual(codesOf("io.github.acme/warehouse", ["io.github.acme/warehouse"]), []);
});

test("slips are counted as they are made: one letter, or two that changed places", () => {
  assert.deepEqual(
    [slips("memory", "memory", 2), slips("memory", "memroy", 2), slips("memory", "memor", 2), slips("memory", "elephant", 2)],
    [0, 1, 1, 3],
  );
  assert.equal(skeleton("Ѕеrvеr-Мemory"), skeleton("server_memory"));
});
