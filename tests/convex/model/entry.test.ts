/** What registries write, in one shape. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { aliasOf, fromEntry, inputsOf, pickOffer, secretNameOf, toEntry } from "../../../convex/model/entry.ts";
import { toAlias } from "../../../convex/model/server.ts";

const weather = {
  server: {
    name: "io.github.acme/weather",
    description: "Weather.",
    version: "1.2.0",
    repository: { url: "https://github.com/acme/weather", source: "github" },
    websiteUrl: "javascript:alert(1)",
    packages: [
      { registryType: "oci", identifier: "docker.io/acme/weather:1.2.0", transport: { type: "stdio" } },
      {
        registryType: "npm",
        identifier: "@acme/weather",
        version: "1.2.0",
        transport: { type: "stdio" },
        runtimeArguments: [{ type: "named", name: "--network", value: "host" }],
        packageArguments: [
          { type: "positional", valueHint: "city", isRequired: true },
          { type: "named", name: "--units", default: "metric", choices: ["metric", "imperial"] },
          { type: "named", name: "--mode", value: "fast" },
        ],
        environmentVariables: [{ name: "WEATHER_KEY", isSecret: true, isRequired: true }, { name: "LOG_LEVEL" }],
      },
    ],
    remotes: [
      {
        type: "streamable-http",
        url: "https://{region}.acme.example/mcp",
        headers: [{ name: "Authorization", value: "Bearer {key}", isSecret: true }],
      },
    ],
  },
  _meta: {
    "io.modelcontextprotocol.registry/official": { status: "active", publishedAt: "2026-01-02T00:00:00Z", isLatest: true },
  },
};

test("an entry keeps what is needed to install it, and nothing that would loosen a sandbox", () => {
  const entry = toEntry(weather);
  assert(entry);
  assert.equal(entry.website, undefined);
  assert.doesNotMatch(JSON.stringify(entry), /--network/);
  const offer = pickOffer(entry);
  assert(offer?.type === "package" && offer.of.type === "npm");
  assert.deepEqual(
    inputsOf(offer).map(({ name, isSecret, isRequired }) => [name, isSecret, isRequired]),
    [
      ["WEATHER_KEY", true, true],
      ["LOG_LEVEL", false, false],
      ["city", false, true],
      ["units", false, false],
    ],
  );
  const remote = pickOffer(entry, "remote");
  assert(remote?.type === "remote");
  assert.deepEqual(
    inputsOf(remote).map(({ name, isSecret }) => [name, isSecret]),
    [
      ["region", false],
      ["key", true],
    ],
  );
});

test("the older spelling with underscores is the same entry", () => {
  const { server } = weather;
  const [, npm] = server.packages;
  const old = {
    name: server.name,
    description: server.description,
    version: server.version,
    packages: [
      {
        registry_type: "npm",
        identifier: "@acme/weather",
        version: "1.2.0",
        package_arguments: [{ type: "positional", value_hint: "city", is_required: true }],
        environment_variables: [{ name: "WEATHER_KEY", is_secret: true, is_required: true }],
      },
    ],
  };
  const [entry, now] = [
    toEntry(old),
    toEntry({
      server: {
        ...server,
        packages: [
          {
            ...npm,
            packageArguments: npm?.packageArguments?.slice(0, 1),
            environmentVariables: npm?.environmentVariables?.slice(0, 1),
          },
        ],
      },
    }),
  ];
  assert.deepEqual(entry?.packages, now?.packages);
});

test("what an entry says by our own registry is read back the same", () => {
  const entry = toEntry(weather);
  assert(entry);
  assert.deepEqual(toEntry(JSON.parse(JSON.stringify(fromEntry(entry)))), entry);
});

test("nonsense is no entry, and never a failure", () => {
  for (const one of [null, 3, "x", [], {}, { server: 1 }, { server: { name: 1 } }, { name: "a".repeat(500), version: "1" }])
    assert.equal(toEntry(one), undefined);
  const odd = toEntry({
    name: "a/b",
    version: "1",
    packages: [null, 1, { registryType: "exe", identifier: "x" }, { registryType: "npm" }],
    remotes: [{ url: "file:///etc/passwd" }, 4],
  });
  assert.deepEqual([odd?.packages, odd?.remotes], [[], []]);
});

test("every name of a registry becomes one that tools can be named by", () => {
  const aliases = [
    "io.github.acme/weather-mcp-server",
    "npm:@modelcontextprotocol/server-memory",
    "pypi:mcp-server-time",
    "@a/b",
    "x/Ä-Ö",
    "com.example/" + "long".repeat(20),
    "npm:mcp",
  ].map(aliasOf);
  assert.deepEqual(aliases.slice(0, 4), ["weather", "memory", "time", "b"]);
  for (const alias of aliases) assert.equal(toAlias(alias), alias);
  assert.match(secretNameOf("9lives", "API KEY"), /^[A-Za-z][A-Za-z0-9._-]{0,63}$/);
});
