/** From a name in a registry to tools that wait for their owner, and everything that must not get through on the way. */
import assert from "node:assert/strict";
import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { seenOf } from "../../../../convex/model/serverView.ts";
import { factsIn } from "../place.ts";
import type { RegistrySetting } from "../../../../convex/model/registry.ts";
import { openDiscoverPlace, type DiscoverPlace } from "./place.ts";
import {
  makeNpmKeys,
  npmRegistry,
  officialRegistry,
  openStandIn,
  serverCode,
  type NpmPackage,
  type Published,
  type StandIn,
} from "./standIn.ts";

const home = mkdtempSync(join(tmpdir(), "nika-npm-home-"));
const trap = join(home, "trapped");
const tool = (name: string, description = "Says what it sees."): object => ({
  name,
  description,
  inputSchema: { type: "object", properties: { x: { type: "string" } } },
});
const program = (tools: readonly object[], more: object = {}): Pick<NpmPackage, "files" | "more"> => ({
  files: {
    "index.js": `${serverCode(tools)}// asks https://api.weather.example/v1\n`,
    "install.js": `require("fs").writeFileSync(${JSON.stringify(trap)}, "ran")`,
  },
  more: { bin: { weather: "index.js" }, mcpName: "io.github.acme/weather", ...more },
});
const packages: NpmPackage[] = [
  {
    name: "@acme/weather",
    version: "1.0.0",
    publisher: "maker",
    ...program([tool("look")], { scripts: { install: "node install.js" }, dependencies: { "left-part": "^1.0.0" } }),
  },
  {
    name: "@acme/weather",
    version: "1.1.0",
    publisher: "maker",
    ...program([tool("look", "Says what it sees, and more."), tool("listen")]),
  },
  { name: "@acme/weather", version: "1.2.0", publisher: "thief", ...program([tool("look")]) },
  { name: "left-part", version: "1.0.3", files: { "index.js": "" } },
  { name: "@acme/wаether-tools", version: "1.0.0", files: {} },
  { name: "tampered-package", version: "1.0.0", isTampered: true, ...program([tool("a")]) },
  { name: "wrongly-signed", version: "1.0.0", signature: "wrong", ...program([tool("a")]) },
  { name: "unsigned-package", version: "1.0.0", signature: "none", ...program([tool("a")]) },
  {
    name: "takes-from-git",
    version: "1.0.0",
    ...program([tool("a")], { dependencies: { evil: "git+https://git.example/evil.git" } }),
  },
  {
    name: "firecrawl-mpc",
    version: "1.0.0",
    publishedAt: new Date(Date.now() - 2 * 86_400_000).toISOString(),
    ...program([tool("a")]),
  },
];
const npm: StandIn = await openStandIn(npmRegistry(packages, () => npm.url, makeNpmKeys()));
const published: Published[] = [
  {
    server: {
      name: "io.github.acme/weather",
      description: "Weather",
      version: "1.0.0",
      packages: [
        {
          registryType: "npm",
          identifier: "@acme/weather",
          version: "1.0.0",
          transport: { type: "stdio" },
          packageArguments: [{ type: "named", name: "--city", isRequired: true }],
          environmentVariables: [{ name: "WEATHER_KEY", isSecret: true, isRequired: true }],
        },
      ],
    },
    updatedAt: "2026-01-01T00:00:00Z",
  },
  {
    server: {
      name: "io.github.acme/far",
      description: "",
      version: "2.0.0",
      remotes: [{ type: "streamable-http", url: "http://127.0.0.1:1/mcp" }],
    },
    updatedAt: "2026-01-01T00:00:00Z",
  },
  {
    server: { name: "io.github.acme/image", description: "", version: "1", packages: [{ registryType: "oci", identifier: "x" }] },
    updatedAt: "2026-01-01T00:00:00Z",
  },
  {
    server: {
      name: "io.github.liar/weather",
      description: "",
      version: "1.0.0",
      packages: [{ registryType: "npm", identifier: "@acme/weather", version: "1.0.0", transport: { type: "stdio" } }],
    },
    updatedAt: "2026-01-01T00:00:00Z",
  },
];
const official = await openStandIn(officialRegistry(published));
const registries: RegistrySetting[] = [{ name: "official", type: "mcp", url: official.url, isOn: true }];
const variables = { PATH: process.env["PATH"], HOME: home, npm_config_registry: npm.url, npm_config_fetch_retries: "0" };
after(async () => {
  await Promise.all([npm.close(), official.close()]);
  rmSync(home, { recursive: true, force: true });
});

const withPlace = async (work: (place: DiscoverPlace) => Promise<void>, secrets: Record<string, string> = {}): Promise<void> => {
  const place = openDiscoverPlace({ variables, registries, secrets });
  try {
    await work(place);
  } finally {
    await place.close();
  }
};
const visible = (place: DiscoverPlace): string[] => [...place.pool.routes().tools.keys()];
const standingsOf = (place: DiscoverPlace, name: string) =>
  Object.fromEntries((place.pool.routes().offers.get(name) ?? []).map((one) => [one.name, one.standing]));
const placed = (place: DiscoverPlace): string[] => {
  const dir = join(place.dir, "mcp/packages/npm/@acme/weather");
  return existsSync(dir) ? readdirSync(dir).toSorted() : [];
};

test("a server goes all the way: fetched without running anything, listed apart, locked, approved, upgraded beside the old one, changed back, removed", () =>
  withPlace(
    async (place) => {
      const wish = { values: { city: "Lyon" } };
      const info = await place.info("io.github.acme/weather");
      assert.deepEqual([info["signature"], info["alias"], info.warnings], ["verified", "weather", []]);
      await assert.rejects(place.install("io.github.acme/weather"), /needs city/);
      await assert.rejects(
        place.install("io.github.acme/weather", { values: { city: "x", WEATHER_KEY: "k" } }),
        /nika secrets set weather.WEATHER_KEY/,
      );
      const first = await place.install("io.github.acme/weather", wish);
      assert.deepEqual([first.alias, first.version, first.tools, first.waiting, first.secrets], ["weather", "1.0.0", 1, 1, []]);
      assert.deepEqual(first.hosts, ["api.weather.example:443"]);
      assert.match(first.notes.join(" "), /wanted to run a script/);
      assert.equal(existsSync(trap), false);
      assert(existsSync(join(place.dir, "mcp/packages/npm/@acme/weather/1.0.0/node_modules/left-part/index.js")));
      assert.deepEqual(place.steps.filter((step, at) => step !== place.steps[at - 1]).slice(-6), [
        "look",
        "fetch",
        "verify",
        "try",
        "place",
        "done",
      ]);
      assert.deepEqual(visible(place), []);
      place.pool.approve("weather", seenOf(factsIn(place.pool, "weather")));
      assert.deepEqual(visible(place), ["mcp_weather__look"]);

      // What it is given: the argument in its place, the secret from the store, nothing of the environment.
      const said = await place.pool.use("weather", undefined, new AbortController().signal, (peer) =>
        peer.request(
          "tools/call",
          { name: "look", arguments: {} },
          { timeoutMs: 10_000, timeoutMsMax: 10_000, signal: new AbortController().signal },
        ),
      );
      const seen = JSON.parse((said as unknown as { content: { text: string }[] }).content[0]?.text ?? "") as {
        argv: string[];
        env: Record<string, string>;
      };
      assert.deepEqual(
        [seen.argv, seen.env["WEATHER_KEY"], seen.env["npm_config_registry"]],
        [["--city", "Lyon"], "the key", undefined],
      );
      assert.doesNotMatch(readFileSync(join(place.dir, "mcp.d/weather.json"), "utf8"), /the key/);

      (published[0] as { server: Record<string, unknown> }).server = {
        ...published[0]?.server,
        version: "1.1.0",
        packages: (published[0]?.server["packages"] as object[] | undefined)?.map((one) => ({ ...one, version: "1.1.0" })),
      };
      // What it was given holds for the next version.
      const second = await place.install("weather", { storage: "64Mi" });
      assert.match(readFileSync(join(place.dir, "mcp.d/weather.json"), "utf8"), /"Lyon"[^]*"storage": "64Mi"/);
      assert.deepEqual([second.before, second.version, second.waiting], ["1.0.0", "1.1.0", 2]);
      assert.deepEqual(standingsOf(place, "weather"), { look: "changed", listen: "new" });
      assert.deepEqual(visible(place), []);
      assert.deepEqual(placed(place), ["1.0.0", "1.1.0"]);
      place.pool.approve("weather", seenOf(factsIn(place.pool, "weather")));

      const main = join(place.dir, "mcp/packages/npm/@acme/weather/1.1.0/node_modules/@acme/weather/index.js");
      appendFileSync(main, "// and more\n");
      // What runs already was looked at when it began.
      await place.pool.revive("weather");
      await assert.rejects(place.pool.refresh("weather", new AbortController().signal), /not the one that was installed/);
      // One that is off stays off.
      await place.declared.turn("weather", false);
      await place.install("weather");
      assert.equal(place.pool.standings()[0]?.state, "off");
      await place.declared.turn("weather", true);
      assert.equal((await place.pool.refresh("weather", new AbortController().signal)).tools.length, 2);

      await place.declared.turn("weather", false);
      assert.deepEqual([visible(place), place.pool.standings()[0]?.state], [[], "off"]);
      await place.declared.turn("weather", true);
      assert.equal(visible(place).length, 2);

      await place.declared.remove("weather");
      assert.deepEqual(
        [placed(place), readdirSync(join(place.dir, "mcp.d")), place.pool.standings().length, place.pool.locks()],
        [[], [], 0, {}],
      );
    },
    { "weather.WEATHER_KEY": "the key" },
  ));

test("what does not verify is not installed, and says why", () =>
  withPlace(async (place) => {
    await assert.rejects(place.install("npm:tampered-package"), { code: "denied", message: /not what its registry said/ });
    await assert.rejects(place.install("npm:wrongly-signed"), { code: "denied", message: /signature .* does not fit/ });
    await assert.rejects(place.install("npm:takes-from-git"), { code: "denied", message: /no registry/ });
    await assert.rejects(place.install("npm:nobody-has-this"), { code: "missing" });
    await assert.rejects(place.install("npm:@acme/weather", { version: "9.9.9" }), { code: "missing" });
    await assert.rejects(place.install("npm:../../etc/passwd"), { code: "invalid" });
    await assert.rejects(place.install("io.github.acme/image"), { code: "invalid", message: /oci/ });
    assert.deepEqual(place.pool.standings(), []);
    const root = join(place.dir, "mcp/packages");
    assert.deepEqual(existsSync(root) ? readdirSync(root) : [], []);
  }));

test("what looks wrong is told, and installed only by the owner's word", () =>
  withPlace(async (place) => {
    const graveOf = async (name: string): Promise<string[]> =>
      (await place.info(name)).warnings.filter(({ isGrave }) => isGrave).map(({ code }) => code);
    assert.deepEqual(await graveOf("npm:firecrawl-mpc"), ["lookalike", "young"]);
    assert.deepEqual(await graveOf("npm:unsigned-package"), ["unsigned"]);
    assert.deepEqual(await graveOf("io.github.liar/weather"), ["ownership"]);
    await assert.rejects(place.install("npm:firecrawl-mpc"), { code: "denied", message: /--despite-warnings/ });
    const installed = await place.install("npm:firecrawl-mpc", { despiteWarnings: true });
    assert.match(installed.notes.join(" "), /slip away/);
    // Its new version is by somebody who may publish no more of it.
    await place.install("npm:@acme/weather", { version: "1.1.0" });
    const next = await place.info("npm:@acme/weather", { version: "1.2.0" });
    assert.deepEqual(
      next.warnings.map(({ code }) => code),
      ["publisher"],
    );
  }));

test("a server elsewhere is declared by its address, and names do not displace each other", () =>
  withPlace(async (place) => {
    writeFileSync(join(place.dir, "mcp-servers.json"), JSON.stringify({ far: { url: "http://127.0.0.1:1/other" } }));
    await place.reload();
    const { alias } = await place.install("io.github.acme/far");
    assert.equal(alias, "far-2");
    assert.deepEqual(JSON.parse(readFileSync(join(place.dir, "mcp.d/far-2.json"), "utf8")), {
      mcpServers: { "far-2": { url: "http://127.0.0.1:1/mcp", headers: {} } },
    });
    await assert.rejects(place.install("io.github.acme/far", { alias: "far" }), { code: "conflict" });
    await place.declared.remove("far");
    assert.deepEqual(
      place.pool.standings().map(({ name }) => name),
      ["far-2"],
    );
  }));
