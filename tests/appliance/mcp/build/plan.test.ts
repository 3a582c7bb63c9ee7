import assert from "node:assert/strict";
import { test } from "node:test";
import { planFor } from "../../../../appliance/mcp/build/build.ts";
import type { PlanWishes } from "../../../../appliance/mcp/build/makePlan.ts";
import type { Plan, PlannedTool } from "../../../../appliance/mcp/build/plan.ts";
import { readPlan } from "../../../../appliance/mcp/build/planFile.ts";
import { toPlanText } from "../../../../appliance/mcp/build/planText.ts";
import { toHanded } from "../../../../appliance/mcp/build/source.ts";
import { isNikaError } from "../../../../convex/model/error.ts";
import { lint } from "../../../../convex/model/tool.ts";
import { hostile, kennel, library, rooms, weather } from "./documents.ts";

const plan = (text: string | object, wishes: PlanWishes = {}): Promise<Plan> =>
  planFor(toHanded(typeof text === "string" ? text : JSON.stringify(text), "test"), wishes);
const toolOf = ({ tools }: Plan, name: string): PlannedTool => {
  const tool = tools.find((one) => one.name === name);
  assert.ok(tool, `${name} is among ${tools.map((one) => one.name).join(", ")}`);
  return tool;
};
const refused = (text: string | object, words: RegExp, wishes: PlanWishes = {}): Promise<void> =>
  assert.rejects(plan(text, wishes), (error) => isNikaError(error) && error.code !== "bug" && words.test(error.message));

test("an OpenAPI 3.1 document becomes tools with classes, ways in, limits and exact hosts", async () => {
  const made = await plan(kennel);
  assert.equal(made.name, "kennel");
  assert.equal(made.baseUrl, "https://eu.kennel.example/v2");
  assert.deepEqual(made.egress, ["eu.kennel.example:443"]);
  assert.equal(made.limits.callsPerMinute, 120);
  assert.deepEqual(
    made.tools.map((tool) => [tool.name, tool.class, tool.approval, tool.auth.join()]),
    [
      ["list_dogs", "read", "never", "key"],
      ["add_dog", "write", "never", "signed_in"],
      ["get_dog", "read", "never", ""],
      ["delete_dogs_by_dog_id", "destructive", "ask", "token"],
      ["put_photo", "write", "never", "desk"],
      ["add_note", "write", "never", "key"],
      ["add_walk", "write", "never", "key"],
    ],
  );
  assert.deepEqual(made.auth.find(({ id }) => id === "signed_in")?.scopes, ["dogs:write"]);
  assert.equal(toolOf(made, "list_dogs").page, "page");
  assert.match(made.notes.join("\n"), /eu\.kennel\.example\/v2\/; say another with --server/);
});

test("a cycle stays a reference, what only answers have is not asked for, and parts travel in the tool's own schema", async () => {
  const { input } = toolOf(await plan(kennel), "add_dog");
  const dog = (input["$defs"] as Record<string, { properties: Record<string, unknown>; required: string[] }>)["Dog"];
  assert.ok(dog);
  assert.deepEqual(Object.keys(dog.properties), ["name", "mother", "kind", "chip"]);
  assert.deepEqual(dog.required, ["name"]);
  assert.deepEqual(dog.properties["mother"], { $ref: "#/$defs/Dog" });
});

test("a Swagger 2.0 document is read as what it became", async () => {
  const made = await plan(library);
  assert.equal(made.source.kind, "swagger");
  assert.equal(made.name, "library");
  assert.equal(made.baseUrl, "https://library.example/api");
  const found = toolOf(made, "find_book").parameters.find(({ in: place }) => place === "query");
  assert.equal(found?.style, "pipeDelimited");
  assert.deepEqual(toolOf(made, "add_cover").body?.files, ["cover"]);
  assert.deepEqual(made.auth, [
    { id: "pass", kind: "apiKey", in: "query", parameter: "pass", secret: "library.pass", variable: "LIBRARY_PASS" },
  ]);
});

test("a README becomes tools by its commands, lists, headings and examples", async () => {
  const made = await plan(weather);
  assert.equal(made.baseUrl, "https://wx.example/api");
  assert.deepEqual(
    made.tools.map(({ method, path }) => `${method} ${path}`),
    ["GET /current", "POST /stations/{stations_id}/photo", "GET /stations", "GET /stations/{id}", "PUT /stations/{id}"],
  );
  assert.deepEqual(
    made.auth.map(({ kind }) => kind),
    ["bearer"],
  );
  assert.deepEqual(Object.keys(toolOf(made, "get_current").input["properties"] as object), ["city", "days"]);
  assert.deepEqual(toolOf(made, "post_stations_by_stations_id_photo").body?.files, ["photo"]);
  const put = toolOf(made, "put_stations_by_id");
  assert.deepEqual(put.example?.arguments["body"], { name: "x", height: 3.5 });
  assert.deepEqual(put.example?.answer.body, { ok: true });
  assert.match(made.notes.join(), /prose, read by rules/);
});

test("French prose becomes tools by its tables, with what is required and what may be chosen", async () => {
  const made = await plan(rooms, { name: "salles" });
  assert.equal(made.baseUrl, "https://api.salles.example/v1");
  assert.equal(made.limits.callsPerMinute, 30);
  assert.deepEqual(
    made.tools.map(({ method, path, title }) => `${method} ${path}: ${title}`),
    [
      "GET /reservations: Lister les réservations",
      "POST /reservations: Réserve une salle.",
      "DELETE /reservations/{id}: Annuler",
      "GET /salles: Toutes les salles",
      "GET /salles/{salle_id}: Une salle",
    ],
  );
  const { input } = toolOf(made, "get_reservations");
  assert.deepEqual(input["required"], ["debut"]);
  const { body } = toolOf(made, "post_reservations").input["properties"] as {
    body: { properties: Record<string, { enum?: string[] }>; required: string[] };
  };
  assert.deepEqual(body.properties["salle"]?.enum, ["bleue", "rouge"]);
  assert.deepEqual(body.required, ["salle", "jour"]);
  assert.equal(made.auth[0]?.parameter, "X-Api-Key");
});

test("nothing hostile gets into a plan: no poison, no path outside the service, no name that is code, and nothing is fetched", async () => {
  const made = await plan(hostile);
  assert.deepEqual(
    made.tools.map(({ path }) => path),
    ["/a", "/e", "/f/{x}"],
  );
  assert.deepEqual(lint({ title: made.title, about: made.about, tools: made.tools }), []);
  for (const { name, group } of made.tools) assert.match(`${name} ${group}`, /^[a-z0-9_]+ [a-z0-9_]+$/u);
  const shown = JSON.stringify(made.tools);
  assert.doesNotMatch(shown, /169\.254|127\.0\.0\.1|"__proto__":|\(\(\(/u);
  assert.match(made.notes.join("\n"), /points to another document \(https:\/\/169\.254/u);
  assert.match(made.notes.join("\n"), /\/g: it stands in another document, which is not fetched/u);
  assert.match(made.notes.join("\n"), /at another server than the rest/u);
  assert.match(
    made.notes.join("\n"),
    /what it says of "pick" was left out, because it tells the model to hide something from you/u,
  );
  assert.deepEqual(made.egress, ["nice.example:443"]);
  assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
});

test("of ten thousand operations some are taken, by group, and the rest is counted and shown", async () => {
  const paths = Object.fromEntries(
    Array.from({ length: 10_000 }, (_, at) => [`/t${at % 50}/x${at}`, { get: { tags: [`t${at % 50}`], responses: {} } }]),
  );
  const many = { openapi: "3.0.3", info: { title: "Many" }, servers: [{ url: "https://many.example" }], paths };
  const made = await plan(many);
  assert.equal(made.tools.length, 40);
  assert.equal(made.left.count, 9_960);
  assert.equal(made.left.groups.length, 50);
  const tagged = await plan(many, { tags: ["t7"], toolsMax: 5 });
  assert.deepEqual([...new Set(tagged.tools.map(({ group }) => group))], ["t7"]);
  assert.equal(tagged.tools.length, 5);
  assert.match(toPlanText(tagged), /## Not taken: 9995 operations/u);
  await refused(many, /There is no group "nobody"/u, { tags: ["nobody"] });
});

test("what is no document is refused with a sentence", async () => {
  await refused(`{"openapi": "3.1.0", "x": ${"[".repeat(5_000)}${"]".repeat(5_000)}}`, /nested deeper than 200/u);
  await refused("", /empty/u);
  await refused("{ no", /begins like JSON and is none/u);
  await refused("openapi: 3.1.0\npaths: [\n", /no YAML/u);
  await refused(
    `openapi: 3.1.0\na: &a [1,2]\n${Array.from({ length: 40 }, (_, at) => `b${at}: &b${at} [${"*a,".repeat(30)}*a]`).join("\n")}\npaths: {}\n`,
    /YAML|Nothing/u,
  );
  await refused("openapi: 3.1.0\nx: &x\n  y: *x\npaths: {}\n", /nested deeper|YAML|Nothing/u);
  await refused({ openapi: "4.0", paths: {} }, /2\.0 and 3\.0 to 3\.2 are understood/u);
  await refused({ hello: "world" }, /neither "openapi" nor "swagger"/u);
  await refused("# Nothing\n\nJust words.", /does not say where the service is/u);
  await refused("# Nothing\n\nJust words.", /Nothing in the document/u, { server: "https://a.example" });
  await refused({ openapi: "3.1.0", paths: { "/a": { get: {} } } }, /say it with --server/u);
  await refused(kennel, /holds a name or password/u, { server: "https://me:secret@a.example" });
  await refused(kennel, /cannot be part of a tool's name/u, { name: "???" });
});

test("a plan that was edited is taken, and one that says something impossible is not", async () => {
  const made = await plan(kennel);
  const [first, ...others] = made.tools;
  assert.ok(first);
  const edited = { ...made, tools: [{ ...first, class: "write", approval: "refuse", name: "all_dogs" }, ...others] };
  assert.equal(readPlan(JSON.stringify(edited)).tools[0]?.name, "all_dogs");
  const wrong = (change: object, words: RegExp): void =>
    assert.throws(
      () => readPlan(JSON.stringify({ ...made, ...change })),
      (error) => isNikaError(error) && error.code === "invalid" && words.test(error.message),
    );
  wrong({ name: "../up" }, /cannot be used/u);
  wrong({ egress: ["*"] }, /cannot be used/u);
  wrong({ tools: [{ ...first, path: "/../admin" }] }, /the path of list_dogs is none/u);
  wrong({ tools: [first, first] }, /two tools are named list_dogs/u);
  wrong({ tools: [{ ...first, name: 'x", evil: "' }] }, /cannot be used/u);
  wrong({ tools: [{ ...first, auth: ["nobody"] }] }, /signs in with "nobody"/u);
  wrong({ auth: [{ ...made.auth[0], variable: "PATH=x" }] }, /cannot be used/u);
  wrong({ more: 1 }, /cannot be used/u);
  assert.throws(() => readPlan("{"), /not JSON/u);
});
