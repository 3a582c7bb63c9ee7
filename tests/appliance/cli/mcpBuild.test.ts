import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { kennel } from "../mcp/build/documents.ts";
import { nika } from "./command.ts";

const dir = mkdtempSync(join(tmpdir(), "nika-mcp-build-"));
const spec = join(dir, "kennel.yaml");
writeFileSync(spec, kennel);
after(() => rmSync(dir, { recursive: true, force: true }));
const env = { NIKA_DATA: join(dir, "data") };

test("a plan is shown, written, edited and read again, and without a word nothing is made", async () => {
  const shown = await nika(["mcp", "build", spec, "--plan"], { env });
  assert.equal(shown.code, 0, shown.stderr);
  assert.match(shown.stdout, /\| mcp_kennel__list_dogs \| Lists dogs \| read \| no \| GET \/dogs \|/u);
  const unasked = await nika(["mcp", "build", spec], { env });
  assert.equal(unasked.code, 65);
  assert.match(unasked.stderr, /Nobody is here to agree to the plan/u);
  const file = join(dir, "plan.json");
  assert.equal((await nika(["mcp", "build", spec, "--plan", file], { env })).code, 0);
  writeFileSync(file, readFileSync(file, "utf8").replace('"name": "list_dogs"', '"name": "all_dogs"'));
  const again = await nika(["mcp", "build", "--plan-file", file, "--plan", "--json"], { env });
  assert.equal(again.code, 0, again.stderr);
  assert.equal((JSON.parse(again.stdout) as { tools: { name: string }[] }).tools[0]?.name, "all_dogs");
  writeFileSync(file, readFileSync(file, "utf8").replace('"/dogs"', '"/../dogs"'));
  const wrong = await nika(["mcp", "build", "--plan-file", file, "--yes"], { env });
  assert.equal(wrong.code, 65);
  assert.match(wrong.stderr, /The plan cannot be used: the path of all_dogs is none/u);
});

test("what cannot be read is told in a sentence, and a document that leads elsewhere is not followed", async () => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    if (request.url === "/spec.json") response.writeHead(302, { location: "http://169.254.169.254/latest" }).end();
    else response.writeHead(404).end();
  });
  await new Promise<void>((done) => {
    server.listen(0, "127.0.0.1", done);
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    for (const [argument, words] of [
      [`${url}/spec.json`, /sends elsewhere, to http:\/\/169\.254\.169\.254\/latest; name that one if you mean it/u],
      [`${url}/none`, /answers with 404/u],
      [join(dir, "none.yaml"), /There is no file .*none\.yaml/u],
      [dir, /There is no mcp\.toml in/u],
    ] as const) {
      const { code, stderr } = await nika(["mcp", "build", argument, "--plan"], { env });
      assert.notEqual(code, 0);
      assert.match(stderr, words);
      assert.doesNotMatch(stderr, /\n\s+at /u);
    }
    assert.deepEqual(asked, ["/spec.json", "/none"]);
  } finally {
    server.close();
  }
});
