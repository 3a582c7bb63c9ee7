import assert from "node:assert/strict";
import { test } from "node:test";
import { loadConfig } from "../../appliance/config.ts";

const visualOf = (environment: Record<string, string>) => loadConfig({ dataDir: "/nowhere" }, environment).visual;

test("pictures stay on the machine unless Vertex is chosen, and then its key's file is named", () => {
  assert.deepEqual(visualOf({}), { type: "local" });
  assert.deepEqual(visualOf({ NIKA_VERTEX_KEY_FILE: "/k.json" }), { type: "local" });
  assert.deepEqual(visualOf({ NIKA_VISUAL: "descriptor" }), { type: "descriptor" });
  assert.deepEqual(visualOf({ NIKA_VISUAL: "vertex", NIKA_VERTEX_KEY_FILE: "/k.json" }), {
    type: "vertex",
    keyFile: "/k.json",
    project: undefined,
    location: "us-central1",
    url: undefined,
  });
  for (const [environment, message] of [
    [{ NIKA_VISUAL: "eyes" }, /NIKA_VISUAL must be/],
    [{ NIKA_VISUAL: "vertex" }, /NIKA_VERTEX_KEY_FILE must be set/],
    [
      { NIKA_VISUAL: "vertex", NIKA_VERTEX_KEY_FILE: "/k", NIKA_VERTEX_LOCATION: "evil.example/" },
      /NIKA_VERTEX_LOCATION must be/,
    ],
  ] as const)
    assert.throws(() => visualOf(environment), { code: "invalid", message });
});
