import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { openMock } from "../../../../appliance/mcp/build/template/tests/mock.ts";
import { build, planFor, rebuild, type BuildOptions, type Built } from "../../../../appliance/mcp/build/build.ts";
import type { PlanWishes } from "../../../../appliance/mcp/build/makePlan.ts";
import { openBuilder } from "../../../../appliance/mcp/build/verbs.ts";
import { toHanded } from "../../../../appliance/mcp/build/source.ts";
import { isNikaError } from "../../../../convex/model/error.ts";
import { openMcpPlace } from "../place.ts";
import { hostile, kennel, library, rooms, weather } from "./documents.ts";

const root = join(import.meta.dirname, "../../../..");
const dirs: string[] = [];
const scratch = (): string => {
  const dir = mkdtempSync(join(tmpdir(), "nika-build-"));
  dirs.push(dir);
  return dir;
};
after(() => {
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
});

const optionsFor = (dataDir: string, more: Partial<BuildOptions> = {}): BuildOptions => ({
  dataDir,
  sharedFile: join(dataDir, "shared.json"),
  withSkill: false,
  isReplacing: false,
  sandboxes: undefined,
  step: () => undefined,
  signal: new AbortController().signal,
  ...more,
});
async function make(
  document: string | object,
  dataDir: string,
  wishes: PlanWishes = {},
  more: Partial<BuildOptions> = {},
): Promise<Built> {
  const text = typeof document === "string" ? document : JSON.stringify(document);
  return build(await planFor(toHanded(text, "test"), wishes), optionsFor(dataDir, more));
}
const failsWith = (code: string, words: RegExp) => (error: unknown) =>
  isNikaError(error) && error.code === code && words.test(error.message);

test("what is made of every kind of document passes its contract tests, and the checks that Nika's own code passes", async () => {
  const dataDir = scratch();
  const checked = scratch();
  const documents = { kennel, library, weather, rooms, hostile };
  for (const [name, document] of Object.entries(documents)) {
    const built = await make(document, dataDir, { name }, { withSkill: true });
    assert.ok(built.trial.isGood, `${name}: ${built.trial.said}`);
    assert.equal(built.trial.failed, 0);
    for (const part of ["src", "tests"]) cpSync(join(built.dir, part), join(checked, name, part), { recursive: true });
    const skill = readFileSync(join(built.dir, "SKILL.md"), "utf8");
    assert.match(skill, new RegExp(`mcp_${name}__`, "u"));
  }
  const made = join(dataDir, "mcp", "servers", "kennel");
  const config = JSON.parse(readFileSync(join(made, "tsconfig.json"), "utf8")) as object;
  writeFileSync(join(checked, "tsconfig.json"), JSON.stringify({ ...config, include: ["*/src", "*/tests"] }));
  writeFileSync(join(checked, "package.json"), '{ "type": "module" }\n');
  for (const file of [".oxlintrc.json", ".oxfmtrc.json"]) cpSync(join(root, file), join(checked, file));
  symlinkSync(join(root, "node_modules"), join(checked, "node_modules"));
  for (const [tool, ...args] of [
    ["tsc", "-p", "."],
    ["oxlint", "--type-aware", ...Object.keys(documents)],
    ["oxfmt", "--check", ...Object.keys(documents)],
  ] as const) {
    const { status, stdout, stderr } = spawnSync(join(root, "node_modules/.bin", tool), args, { cwd: checked, encoding: "utf8" });
    assert.equal(status, 0, `${tool}: ${stdout}${stderr}`);
  }
});

test("a made server is declared with its rights, starts in the pool, signs in, and calls the service", async () => {
  const mock = await openMock("/v2");
  const place = await openMcpPlace({
    launch: { secret: (name) => Promise.resolve(name === "dogs.key" ? "the key" : undefined) },
  });
  try {
    const built = await make(kennel, place.dir, { name: "dogs", server: mock.url });
    assert.equal(built.declaredIn, join(place.dir, "mcp.d", "dogs.json"));
    await place.reload();
    const { sandbox, policy } = place.pool.configOf("dogs");
    assert.deepEqual(sandbox.egress, [new URL(mock.url).host]);
    assert.deepEqual(policy["delete_dogs_by_dog_id"], { class: "destructive", approval: "ask" });
    await place.allowBare("dogs");
    const signal = new AbortController().signal;
    await place.pool.refresh("dogs", signal);
    place.approve("dogs");
    mock.play({
      status: 200,
      mediaType: "application/json",
      body: [{ id: 1, name: "Rex" }],
      headers: { link: '</v2/dogs?page=3>; rel="next"' },
    });
    const call = (tool: string, args: object) =>
      place.gateway.call(`mcp_dogs__${tool}`, { ...args }, { principal: "owner", isApproved: true, signal });
    const answer = await call("list_dogs", { limit: 2, tags: ["a b", "c"] });
    assert.deepEqual(answer.content, [
      { type: "text", text: '[{"id":1,"name":"Rex"}]' },
      { type: "text", text: 'There is more; call again with page="3".' },
    ]);
    const [seen] = mock.seen();
    assert.equal(seen?.headers["x-kennel-key"], "the key");
    assert.deepEqual(seen?.query, [
      ["limit", "2"],
      ["tags", "a b,c"],
    ]);
    const unsigned = await call("put_photo", { dogId: "rex", body: {} });
    assert.equal(unsigned.isError, true);
    assert.match(JSON.stringify(unsigned.content), /Nobody is signed in: \\"dogs\.desk\\" is not in the secret store/u);
    const outside = await call("get_dog", { dogId: ".." });
    assert.equal(outside.isError, true);
    assert.equal(mock.seen().length, 0);
  } finally {
    await place.close();
    await mock.close();
  }
});

test("after an edit it is tried again, and one that fails is neither declared nor takes the place of one that works", async () => {
  const dataDir = scratch();
  const { dir, declaredIn = "" } = await make(library, dataDir);
  const before = readFileSync(declaredIn, "utf8");
  const manifest = join(dir, "mcp.toml");
  writeFileSync(
    manifest,
    readFileSync(manifest, "utf8").replace(/(\[tools\.put_book\]\nclass = "write"\napproval = )"never"/u, '$1"refuse"'),
  );
  const again = await rebuild(dir, optionsFor(dataDir));
  assert.equal(again.declaredIn, declaredIn);
  const declared = JSON.parse(readFileSync(declaredIn, "utf8")) as {
    mcpServers: { library: { policy: object; env: { BUILD: string } } };
  };
  assert.deepEqual((declared.mcpServers.library.policy as Record<string, object>)["put_book"], {
    class: "write",
    approval: "refuse",
  });
  assert.notEqual(JSON.parse(before).mcpServers.library.env.BUILD, declared.mcpServers.library.env.BUILD);
  const tools = join(dir, "src/tools/books.ts");
  writeFileSync(tools, readFileSync(tools, "utf8").replaceAll('"/books/{isbn}"', '"/boks/{isbn}"'));
  const broken = await rebuild(dir, optionsFor(dataDir));
  assert.equal(broken.declaredIn, undefined);
  assert.equal(broken.trial.isGood, false);
  assert.match(broken.trial.said, /find_book asks what the document says/u);
  appendFileSync(manifest, "\n[tools.x]\nclass = 'anything'\n");
  await assert.rejects(rebuild(dir, optionsFor(dataDir)), failsWith("invalid", /mcp\.toml cannot be used: policy\.x\.class/u));
});

test("what stands somewhere is not overwritten unasked, and names of others are theirs", async () => {
  const dataDir = scratch();
  await make(library, dataDir);
  await assert.rejects(
    make(library, dataDir),
    failsWith("conflict", /made before, in .*; let this one take its place \(--replace\)/u),
  );
  assert.ok((await make(library, dataDir, {}, { isReplacing: true })).declaredIn);
  const full = scratch();
  writeFileSync(join(full, "letters.txt"), "mine");
  await assert.rejects(
    make(library, dataDir, {}, { out: full, isReplacing: true }),
    failsWith("conflict", /holds something else/u),
  );
  assert.equal(readFileSync(join(full, "letters.txt"), "utf8"), "mine");
  await assert.rejects(
    make(library, dataDir, {}, { out: join(dataDir, "keys") }),
    failsWith("denied", /cannot stand in Nika's own folder/u),
  );
  writeFileSync(join(dataDir, "mcp-servers.json"), JSON.stringify({ kennel: { command: "node", args: ["/x.js"] } }));
  await assert.rejects(make(kennel, dataDir), failsWith("conflict", /"kennel" is declared in .*mcp-servers\.json already/u));
  assert.ok(!existsSync(join(dataDir, "mcp", "servers", "kennel")));
  mkdirSync(join(dataDir, "empty"));
  await assert.rejects(rebuild(join(dataDir, "empty"), optionsFor(dataDir)), failsWith("missing", /no mcp\.toml/u));
});

test("the page brings a document, gets a plan, and hands it back to have it made", async () => {
  const dataDir = scratch();
  const builder = openBuilder({ dataDir, sharedFile: join(dataDir, "shared.json"), sandboxes: undefined });
  const signal = new AbortController().signal;
  const plan = await builder.answer("plan", { text: kennel, name: "dogs", server: "" }, signal);
  const built = (await builder.answer("build", { plan }, signal)) as Built;
  assert.equal(built.declaredIn, join(dataDir, "mcp.d", "dogs.json"));
  await assert.rejects(
    async () => builder.answer("build", { plan: { ...plan, name: "../x" } }, signal),
    failsWith("invalid", /plan cannot be used/u),
  );
  await assert.rejects(async () => builder.answer("plan", { text: 1 }, signal), failsWith("invalid", /"text" must be a text/u));
  assert.equal(builder.answer("other", {}, signal), undefined);
});
