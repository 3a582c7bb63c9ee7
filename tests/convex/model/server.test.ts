import assert from "node:assert/strict";
import { test } from "node:test";
import { joinServers, parseServers, planReload, resolveText } from "../../../convex/model/server.ts";

const parse = (value: unknown) => parseServers(JSON.stringify(value), "f.json");

test("servers are read from the nested and from the flat shape", () => {
  const entry = { command: "node", args: ["a.js"], env: { LEVEL: "debug" } };
  const nested = parse({ mcpServers: { one: entry } });
  const flat = parse({ one: entry });
  assert.deepEqual(nested, flat);
  assert.deepEqual(nested.servers[0]?.transport, { type: "stdio", ...entry });
  assert.deepEqual(parseServers("", "f.json"), { servers: [], problems: [], off: [] });
});

test("one that is turned off is known as such, by the last file that speaks of it", () => {
  const file = (name: string, value: object) => parseServers(JSON.stringify(value), name);
  const off = file("a.json", { one: { command: "x", disabled: true }, two: { command: "x", enabled: false } });
  assert.deepEqual(off.off, [
    { name: "one", origin: "a.json" },
    { name: "two", origin: "a.json" },
  ]);
  const joined = joinServers([off, file("b.json", { one: { command: "y" } })]);
  assert.deepEqual([joined.servers.map(({ name }) => name), joined.off.map(({ name }) => name)], [["one"], ["two"]]);
});

test("names become part of tools' names, and two that would be the same are told apart by an error", () => {
  const { servers, problems } = parse({
    Google_Calendar: { url: "https://a.example/mcp" },
    "google calendar": { url: "https://b.example" },
    é: { command: "x" },
  });
  assert.deepEqual(
    servers.map(({ name }) => name),
    ["google-calendar"],
  );
  assert.deepEqual(
    problems.map(({ key }) => key),
    ["google calendar", "é"],
  );
});

test("a mistake is told with its key and costs only the server it is in", () => {
  const { servers, problems } = parse({
    good: { command: "node" },
    neither: {},
    both: { command: "node", url: "https://x.example" },
    port: { command: "node", sandbox: { egress: ["example.com"], memory: "lots" } },
    open: { command: "node", sandbox: { network: { allow_outbound: true } } },
    slow: { command: "node", timeout: "soon" },
    stores: { command: "node", sandbox: { storage: "a lot" } },
  });
  assert.deepEqual(
    servers.map(({ name }) => name),
    ["good"],
  );
  assert.deepEqual(
    problems.map(({ key }) => key),
    [
      "neither.command",
      "both.url",
      "port.sandbox.egress",
      "port.sandbox.memory",
      "open.sandbox.network.allow_outbound",
      "slow.timeout",
      "stores.sandbox.storage",
    ],
  );
});

test("the sandbox is understood as agents' skills write it", () => {
  const { servers, problems } = parse({
    a: {
      command: "node",
      sandbox: {
        runtime: "gvisor",
        network: { allow_outbound: false, allowlist: ["api.github.com:443"] },
        filesystem: { read_only: true },
        resources: { memory_limit: "256Mi", cpu_limit: 0.5, timeout: "45s" },
      },
    },
  });
  assert.deepEqual(problems, []);
  const [server] = servers;
  assert.equal(server?.callMs, 45_000);
  assert.deepEqual(
    [server?.sandbox.runtime, server?.sandbox.memoryBytes, server?.sandbox.cpus, server?.sandbox.egress],
    ["gvisor", 268_435_456, 0.5, ["api.github.com:443"]],
  );
});

const secrets: readonly (readonly [object, string])[] = [
  [{ command: "x", env: { GITHUB_TOKEN: "abcd1234" } }, "a.env.GITHUB_TOKEN"],
  [{ command: "x", env: { OTHER: "ghp_0123456789abcdefghijKLMNOP" } }, "a.env.OTHER"],
  [{ command: "x", env: { apiKey: "${KEY:-abcd1234}" } }, "a.env.apiKey"],
  [{ command: "x", args: ["--api-key", "abcd1234"] }, "a.args[1]"],
  [{ command: "x", args: ["--token=abcd1234"] }, "a.args[0]"],
  [{ command: "x", args: ["${secret:KEY}"] }, "a.args[0]"],
  [{ command: "x", args: ["postgres://me:hunter22@db/x"] }, "a.args[0]"],
  [{ url: "https://x.example/mcp?api_key=abcd1234" }, "a.url"],
  [{ url: "https://me:pass@x.example/mcp" }, "a.url"],
  [{ url: "https://x.example", headers: { Authorization: "Bearer abcdefgh1234" } }, "a.headers.Authorization"],
];
for (const [entry, key] of secrets)
  test(`a secret written out is an error: ${key} of ${JSON.stringify(entry).slice(0, 70)}`, () => {
    const { servers, problems } = parse({ a: entry });
    assert.deepEqual(servers, []);
    assert.ok(
      problems.some((problem) => problem.key === key),
      JSON.stringify(problems),
    );
  });

test("references are no secrets", () => {
  const entry = { url: "https://x.example/mcp?key=${KEY}", headers: { Authorization: "Bearer ${secret:hub}" } };
  assert.deepEqual(
    parse({ a: entry, b: { command: "x", env: { TOKEN: "${TOKEN}", TOKEN_TYPE: "bearer", AUTH: "none" } } }).problems,
    [],
  );
});

test("references are replaced, by their fallback where there is one, and named where there is nothing", () => {
  const values: Record<string, string> = { "variable:A": "1", "secret:b.c": "2" };
  const resolve = (text: string) => resolveText(text, ({ type, name }) => values[`${type}:${name}`]);
  assert.equal(resolve("x${A}-${secret:b.c}-${NONE:-3}"), "x1-2-3");
  assert.throws(() => resolve("${NONE}"), /NONE is not set/);
  assert.throws(() => resolve("${secret:none}"), /no secret named "none"/);
});

test("later files win, and a mistake in a later one does not bring the earlier one back", () => {
  const first = parseServers('{"a": {"command": "one"}, "b": {"command": "one"}}', "1.json");
  const second = parseServers('{"a": {"command": "two"}, "b": {}}', "2.json");
  const { servers, problems } = joinServers([first, second]);
  assert.deepEqual(
    servers.map(({ name, origin }) => [name, origin]),
    [["a", "2.json"]],
  );
  assert.equal(problems.length, 1);
});

test("a plan keeps what did not change and what is broken", () => {
  const plan = planReload(
    new Map([
      ["same", "1"],
      ["edited", "1"],
      ["gone", "1"],
      ["broken", "1"],
    ]),
    new Map([
      ["same", "1"],
      ["edited", "2"],
      ["fresh", "1"],
    ]),
    new Set(["broken"]),
  );
  assert.deepEqual(plan, { added: ["fresh"], changed: ["edited"], removed: ["gone"], kept: ["same", "broken"] });
});

test("what is no JSON says so and costs the file, not the program", () => {
  const { servers, problems } = parseServers('{"a": {', "f.json");
  assert.deepEqual(servers, []);
  assert.match(problems[0]?.message ?? "", /not JSON/);
});

test("a sign-in without a person says what it lacks, and no word of a firm or a platform stands in the file itself", () => {
  const problemOf = (oauth: object): string | undefined =>
    parse({ hub: { url: "https://hub.example/mcp", oauth } }).problems[0]?.key;
  const firm = { grant: "enterprise", clientId: "a", clientSecret: "${secret:s}", idpClientId: "b", idToken: "${secret:t}" };
  assert.equal(problemOf({ ...firm, idpUrl: "https://firm.example" }), undefined);
  assert.equal(problemOf(firm), "hub.oauth");
  assert.equal(problemOf({ ...firm, idpUrl: "https://firm.example", idToken: "eyJ-in-the-open" }), "hub.oauth.idToken");
  assert.equal(
    problemOf({ grant: "workload", clientId: "a", assertion: "${secret:jwt}", issuer: "https://a.example" }),
    undefined,
  );
  assert.equal(problemOf({ grant: "workload", clientId: "a" }), "hub.oauth");
  assert.equal(problemOf({ grant: "workload", clientId: "a", assertion: "eyJ" }), "hub.oauth.assertion");
  assert.equal(problemOf({ grant: "password" }), "hub.oauth.grant");
});
