/** What a server elsewhere names must not lead Nika into the owner's network. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { openReach } from "../../../../appliance/mcp/auth/reach.ts";

const met: (string | undefined)[] = [];
const server = createServer((request, response) => {
  met.push(request.headers.authorization);
  if (request.url === "/moved") return void response.writeHead(302, { location: "/there" }).end();
  if (request.url === "/round") return void response.writeHead(302, { location: "/round" }).end();
  if (request.url === "/large") return void response.end(Buffer.alloc(2 * 1024 * 1024));
  response.end(`${request.method} ${request.url}`);
});
await new Promise<void>((done) => {
  server.listen(0, "127.0.0.1", done);
});
after(() => server.close());
const at = (path: string): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;

test("a server on the internet cannot send Nika to addresses inside, nor to what is not https", async () => {
  const reach = openReach("https://hub.example/mcp");
  for (const url of [
    "https://127.0.0.1/x",
    "https://[::1]/x",
    "https://169.254.169.254/latest/meta-data",
    "https://10.0.0.1/x",
    "https://[::ffff:127.0.0.1]/x",
    "https://localhost:8443/x",
    "https://printer.local/x",
  ])
    await assert.rejects(reach(url), /inside your own network/, url);
  await assert.rejects(reach(at("/token")), /not https/);
  assert.equal(met.length, 0);
});

test("one at home may name what is at home; redirects are followed by GET alone, to an end, and answers have a limit", async () => {
  const reach = openReach(at("/mcp"));
  assert.equal(await (await reach(at("/moved"))).text(), "GET /there");
  assert.equal((await reach(at("/moved"), { method: "POST", body: "code=1" })).status, 302);
  assert.equal((await reach(at("/round"))).status, 302);
  await assert.rejects(reach(at("/large")), /more than 1024 KB/);
});
