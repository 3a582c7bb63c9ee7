/** Registries that are copied, asked, and in trouble. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { NikaError } from "../../../../convex/model/error.ts";
import { askJson, retryAfterOf } from "../../../../appliance/mcp/discover/ask.ts";
import { mcpRegistry } from "../../../../appliance/mcp/discover/mcpRegistry.ts";
import { mirrorRegistry } from "../../../../appliance/mcp/discover/mirror.ts";
import { serveRegistry, type Withdrawn } from "../../../../appliance/mcp/discover/serve.ts";
import { openShelf } from "../../../../appliance/mcp/discover/shelf.ts";
import { openSources, shelfKey } from "../../../../appliance/mcp/discover/sources.ts";
import type { RegistrySetting } from "../../../../convex/model/registry.ts";
import type { ServerLock } from "../../../../appliance/mcp/pool/kept.ts";
import { toEntry } from "../../../../convex/model/entry.ts";
import { officialRegistry, openStandIn, type Published, type StandIn } from "./standIn.ts";

const never = new AbortController().signal;
const open: StandIn[] = [];
const standIn = async (...args: Parameters<typeof openStandIn>): Promise<StandIn> => {
  const one = await openStandIn(...args);
  open.push(one);
  return one;
};
after(() => Promise.all(open.map((one) => one.close())));

const published = (name: string, description = "", day = "2026-01-01", more: object = {}): Published => ({
  server: {
    name: `io.github.acme/${name}`,
    description,
    version: "1.0.0",
    packages: [{ registryType: "npm", identifier: `@acme/${name}`, version: "1.0.0", transport: { type: "stdio" } }],
    ...more,
  },
  updatedAt: `${day}T00:00:00.000Z`,
});
const many = (count: number): Published[] =>
  Array.from({ length: count }, (_, at) =>
    published(`server-${String(at).padStart(4, "0")}`, at % 2 === 0 ? "Even weather" : "Odd maps"),
  );
const at = Date.parse("2026-06-01T00:00:00Z");

test("a registry is copied page by page, later only what changed, and what was deleted is gone", async () => {
  const servers = many(250);
  const registry = await standIn(officialRegistry(servers));
  const shelf = openShelf(":memory:");
  const pass = (now: number) =>
    mirrorRegistry({
      source: "official",
      client: mcpRegistry(registry.url, undefined, askJson),
      shelf,
      signal: never,
      now: () => now,
    });
  assert.deepEqual(await pass(at), { seen: 250, pages: 3, isWhole: true });
  assert.equal(shelf.count("official"), 250);
  servers[3] = { ...published("server-0003", "A compass now", "2026-06-02") };
  servers[4] = { ...published("server-0004", "", "2026-06-02"), status: "deleted" };
  servers.push(published("late", "Late", "2026-06-02"));
  const before = registry.asked.length;
  assert.deepEqual(await pass(at + 3_600_000), { seen: 3, pages: 1, isWhole: false });
  assert.match(registry.asked[before] ?? "", /updated_since=2026-05-31T23%3A55/);
  assert.equal(shelf.count("official"), 250);
  assert.equal(shelf.get("official", "io.github.acme/server-0004"), undefined);
  const [found] = shelf.search("compass", { sources: ["official"], limit: 5 });
  assert.equal(found?.entry.name, "io.github.acme/server-0003");
});

test("what was copied before a registry failed stays, and the next try goes on from there", async () => {
  const moods = ["", "429", "", "drop", "html", ""];
  const registry = await standIn(
    officialRegistry(many(300), (asked, response) => {
      const mood = moods[asked - 1] ?? "";
      if (mood === "429") response.writeHead(429, { "retry-after": "7" }).end();
      else if (mood === "html") response.writeHead(200).end("<html>one moment please</html>");
      else if (mood === "drop") {
        response.writeHead(200, { "content-length": "5000" });
        response.write('{"servers": [');
        setImmediate(() => response.destroy());
      } else return false;
      return true;
    }),
  );
  const shelf = openShelf(":memory:");
  const pass = () =>
    mirrorRegistry({ source: "x", client: mcpRegistry(registry.url, undefined, askJson), shelf, signal: never, now: () => at });
  const counts: number[] = [];
  const failures: unknown[] = [];
  for (let tries = 0; tries < 4; tries++) {
    await pass().catch((error: unknown) => failures.push(error));
    counts.push(shelf.count());
  }
  assert.deepEqual(counts, [100, 200, 200, 300]);
  assert(failures.every((error) => error instanceof NikaError && error.code === "unavailable"));
  assert.deepEqual(failures.map(retryAfterOf), [7_000, undefined, undefined]);
  assert.notEqual(shelf.mark("x").since, undefined);
});

test("a cursor that means nothing any more begins the copy anew; one that goes in circles is refused", async () => {
  const servers = many(150);
  const registry = await standIn(officialRegistry(servers));
  const shelf = openShelf(":memory:");
  const client = mcpRegistry(registry.url, undefined, askJson);
  shelf.put("x", [], { cursor: "gone", startedAt: 1, since: undefined });
  const pass = () => mirrorRegistry({ source: "x", client, shelf, signal: never, now: () => at });
  await assert.rejects(pass(), { code: "invalid" });
  assert.equal((await pass()).seen, 150);
  const circle = await standIn(() => ({ servers: [], metadata: { nextCursor: "again" } }));
  const round = { source: "y", client: mcpRegistry(circle.url, undefined, askJson), shelf, signal: never, now: () => at };
  await assert.rejects(mirrorRegistry(round), /goes round in circles/);
});

test("items that make no sense are left out, and a page that makes none is a failure", async () => {
  const client = mcpRegistry(
    (await standIn(() => ({ servers: [null, { server: {} }, published("good")], metadata: {} }))).url,
    undefined,
    askJson,
  );
  assert.deepEqual(
    (await client.page({}, never)).entries.map(({ name }) => name),
    ["io.github.acme/good"],
  );
  const broken = mcpRegistry((await standIn(() => ({ detail: "what?" }))).url, undefined, askJson);
  await assert.rejects(broken.page({}, never), { code: "unavailable" });
});

test("search weighs names, takes beginnings of words, forgives one that fits nothing, and treats nothing as syntax", () => {
  const shelf = openShelf(":memory:");
  const entries = [
    published("weather", "Says what it is like outside"),
    published("maps", "Knows the weather, too"),
    published("sequentialThinking", "Steps"),
  ].flatMap((one) => toEntry(one) ?? []);
  shelf.put("s", entries, { cursor: undefined, startedAt: undefined, since: 1 });
  const names = (words: string): string[] =>
    shelf.search(words, { sources: ["s"], limit: 5 }).map(({ entry }) => entry.name.split("/")[1] ?? "");
  assert.deepEqual(names("weather"), ["weather", "maps"]);
  assert.deepEqual(names("weath"), ["weather", "maps"]);
  assert.deepEqual(names("thinking"), ["sequentialThinking"]);
  assert.deepEqual(names("maps gibberish"), ["maps"]);
  assert.equal(names("").length, 3);
  for (const odd of ['"', "a OR", "NEAR(", "name:*", "'; DROP TABLE entries", "-", "((("]) assert.doesNotThrow(() => names(odd));
  assert.deepEqual(shelf.likenesses("@acme/rnaps"), ["@acme/maps"]);
});

test("registries that are on are asked together; one that fails takes nothing from the others; the others are asked nothing", async () => {
  const official = await standIn(officialRegistry([published("weather", "Weather")]));
  const smithery = await standIn((url, request) =>
    request.headers.authorization !== "Bearer key"
      ? { error: "?" }
      : url.pathname === "/servers"
        ? {
            servers: [
              { qualifiedName: "@acme/sky", displayName: "Sky", description: "Clouds", homepage: "https://smithery.example/sky" },
            ],
            pagination: { currentPage: 1, pageSize: 10, totalPages: 1, totalCount: 1 },
          }
        : {
            qualifiedName: "@acme/sky",
            displayName: "Sky",
            connections: [
              {
                type: "http",
                deploymentUrl: "https://sky.example/mcp",
                configSchema: {
                  required: ["city", "apiKey"],
                  properties: { city: { type: "string" }, apiKey: { type: "string" }, units: {} },
                },
              },
            ],
          },
  );
  const glama = await standIn((url) =>
    url.pathname === "/servers"
      ? {
          pageInfo: { hasNextPage: false, endCursor: null },
          servers: [
            {
              id: "x1",
              namespace: "acme",
              slug: "moon",
              name: "Moon",
              description: "Phases",
              repository: { url: "https://github.com/acme/moon" },
              url: "https://glama.example/moon",
            },
          ],
        }
      : { id: "x1", namespace: "acme", slug: "moon", name: "Moon", repository: { url: "https://github.com/acme/moon" } },
  );
  const dead = await standIn((_url, _request, response) => void response.destroy());
  const asleep = await standIn(() => ({ servers: [] }));
  const settings: RegistrySetting[] = [
    { name: "official", type: "mcp", url: official.url, isOn: true },
    { name: "smithery", type: "smithery", url: smithery.url, isOn: true },
    { name: "glama", type: "glama", url: glama.url, isOn: true },
    { name: "dead", type: "mcp", url: dead.url, isOn: true },
    { name: "asleep", type: "mcp", url: asleep.url, isOn: false },
  ];
  const shelf = openShelf(":memory:");
  const sources = openSources({
    settings: () => Promise.resolve(settings),
    secret: (name) => Promise.resolve(name === "smithery" ? "key" : undefined),
    shelf,
  });
  const { found, problems } = await sources.search("weather", { limit: 20, signal: never });
  assert.deepEqual(
    found.map(({ source, entry }) => [source, entry.name]),
    [
      ["official", "io.github.acme/weather"],
      ["smithery", "@acme/sky"],
      ["glama", "acme/moon"],
    ],
  );
  assert.deepEqual(
    problems.map(({ source }) => source),
    ["dead"],
  );
  assert.equal(asleep.asked.length, 0);
  const sky = await sources.find("@acme/sky", undefined, { source: "smithery", signal: never });
  assert.deepEqual(
    sky?.entry.remotes[0]?.url.fills.map(({ name, isSecret }) => [name, isSecret]),
    [
      ["city", false],
      ["apiKey", true],
    ],
  );
  // Once it is copied it is not asked any more.
  await mirrorRegistry({
    source: shelfKey(settings[0] as RegistrySetting),
    client: await sources.clientOf(settings[0] as RegistrySetting),
    shelf,
    signal: never,
    now: () => at,
  });
  const before = official.asked.length;
  assert.equal((await sources.search("weather", { limit: 20, source: "official", signal: never })).found.length, 1);
  assert.equal(official.asked.length, before);
  await assert.rejects(sources.search("x", { limit: 1, source: "nobody", signal: never }), { code: "missing" });
  shelf.retain([]);
  assert.equal(shelf.count(), 0);
});

test("another Nika copies ours: what was approved is there, what was removed is told, and pages fit together", async () => {
  const lock = (name: string, isApproved: boolean, installedAt: number): ServerLock => {
    const entry = toEntry(published(name, `About ${name}`));
    assert(entry);
    return {
      tools: isApproved ? { t: { sha256: "", definition: { name: "t", inputSchema: {} }, at: 0 } } : {},
      prompts: {},
      installed: { source: "official", entry, at: installedAt },
    };
  };
  const locks: Record<string, ServerLock> = { hand: { tools: {}, prompts: {} }, waiting: lock("waiting", false, at) };
  for (let count = 0; count < 130; count++) locks[`s${count}`] = lock(`s${count}`, true, at);
  const withdrawn: Withdrawn = {};
  const ours = await standIn((url, _request, response) => {
    try {
      return serveRegistry(new URL(`/mcp/registry${url.pathname}${url.search}`, "http://x"), {
        locks: () => locks,
        withdrawn: () => withdrawn,
      });
    } catch (error) {
      return void response.writeHead(error instanceof NikaError && error.code === "missing" ? 404 : 400).end("{}");
    }
  });
  const client = mcpRegistry(ours.url, undefined, askJson);
  const shelf = openShelf(":memory:");
  const pass = (now: number) => mirrorRegistry({ source: "ours", client, shelf, signal: never, now: () => now });
  assert.equal((await pass(at)).pages, 2);
  assert.equal(shelf.count(), 130);
  const gone = locks["s7"]?.installed?.entry;
  assert(gone);
  delete locks["s7"];
  withdrawn[gone.name] = { entry: gone, at: at + 1_000 };
  await pass(at + 2_000);
  assert.equal(shelf.get("ours", gone.name), undefined);
  assert.equal((await client.get("io.github.acme/s8", undefined, never))?.packages[0]?.identifier, "@acme/s8");
  assert.equal(await client.get("io.github.acme/waiting", undefined, never), undefined);
  await assert.rejects(client.page({ limit: 0 }, never), { code: "invalid" });
});
