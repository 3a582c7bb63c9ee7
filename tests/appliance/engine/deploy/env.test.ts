import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { makeFunctionReference } from "convex/server";
import { openDeployable } from "../../../../appliance/engine/deploy/deployable.ts";
import { openCore } from "../../../../appliance/engine/openCore.ts";
import { adminKey, collector, serve } from "../served.ts";

type Seen = { readonly value: unknown; readonly run: number };

test("a variable that changes runs the queries again that read it, while they load or later, and no others", async () => {
  const functionsDir = join(import.meta.dirname, "envApp");
  await using served = await serve((dir, origin) =>
    openDeployable({ dir, functionsDir, env: {}, origin, log: () => undefined }, openCore),
  );
  const client = served.client();
  const watched = ["read:colour", "read:nothing", "read:names", "loaded:get"].map((path) => {
    const seen = collector<Seen>();
    client.onUpdate(makeFunctionReference<"query", Record<string, never>, Seen>(path), {}, (value) => seen.push(value));
    return seen;
  });
  const [colour, nothing, names, loaded] = watched as [
    (typeof watched)[0],
    (typeof watched)[0],
    (typeof watched)[0],
    (typeof watched)[0],
  ];
  const set = async (name: string, value: string | null): Promise<void> => {
    const headers = { Authorization: `Convex ${adminKey}`, "Content-Type": "application/json" };
    const body = JSON.stringify({ changes: [{ name, value }] });
    const { status } = await fetch(`${served.url}/api/update_environment_variables`, { method: "POST", headers, body });
    assert.equal(status, 200);
  };
  await Promise.all(watched.map((one) => one.until(({ value }) => value === "none" || value === "nothing" || value === false)));
  await set("COLOUR", "green");
  await colour.until(({ value }) => value === "green");
  assert.equal(loaded.seen.length, 1);
  await set("SHAPE", "round");
  await Promise.all([loaded.until(({ value }) => value === "round"), names.until(({ value }) => value === true)]);
  assert.equal(colour.seen.length, 2);
  await set("COLOUR", null);
  await colour.until(({ value }) => colour.seen.length === 3 && value === "none");
  assert.deepEqual([nothing.seen.length, loaded.seen.length], [1, 2]);
});
