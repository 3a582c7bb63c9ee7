/** Nika signs in at servers elsewhere: at another Nika, and at a stand-in for a hosted gateway. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { seenOf } from "../../../../convex/model/serverView.ts";
import type { ServerFacts } from "../../../../convex/model/serverView.ts";
import { openHostedGateway } from "../../../fakes/hostedGateway.ts";
import { openAuthPlace, openBrowser, owner, type Place } from "./place.ts";

const factsOf = async (place: Place, name: string): Promise<ServerFacts> => {
  const { servers } = await place.ask<{ servers: ServerFacts[] }>("list");
  const found = servers.find((one) => one.name === name);
  assert.ok(found, `${name} is not listed`);
  return found;
};
/** Through the browser, as the owner goes: the sign-in page of the stand-in sends back at once. */
async function signIn(place: Place, name: string): Promise<string> {
  const { url } = await place.ask<{ url: string }>("login", { name });
  const back = await fetch(url, { redirect: "manual" });
  return (await fetch(back.headers.get("location") ?? "")).text();
}
const called = async (place: Place, name: string): Promise<string> =>
  JSON.stringify(await place.ask("call", { name, arguments: {} }));
/** All that lies in the data directory. */
const onDisk = (dir: string): string =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map((one) => readFileSync(join(one.parentPath, one.name), "utf8"))
    .join("\n");

async function hosted(context: TestContext) {
  const gateway = await openHostedGateway();
  const place = await openAuthPlace({ servers: { hub: { url: gateway.url } } });
  context.after(async () => {
    await place.close();
    await gateway.close();
  });
  await place.ask("reload");
  return { gateway, place };
}
async function ready(context: TestContext) {
  const both = await hosted(context);
  assert.match(await signIn(both.place, "hub"), /You are signed in to hub/);
  await both.place.ask("test", { name: "hub" });
  await both.place.ask("approve", { name: "hub", seen: seenOf(await factsOf(both.place, "hub")) });
  return both;
}

test("one Nika signs in at another: the owner is asked there, the tools work here, and signing out gives everything back", async (context) => {
  const greet = {
    name: "greet",
    title: "Greet",
    description: "Greets.",
    input: { type: "object" as const, properties: {} },
    isReadOnly: true,
    call: () => Promise.resolve({ said: "hello" }),
  };
  const there = await openAuthPlace({ tools: [greet] });
  const here = await openAuthPlace({ servers: { other: { url: `${there.origin}/mcp` } } });
  context.after(async () => {
    await here.close();
    await there.close();
  });
  await here.ask("reload");
  assert.equal((await factsOf(here, "other")).signIn, "wanted");
  assert.match((await factsOf(here, "other")).problem ?? "", /nika mcp login other/);
  const { url } = await here.ask<{ url: string }>("login", { name: "other" });
  const back = await openBrowser(there).allow(url);
  // Somebody who makes up a way back, or changes it, gets nowhere.
  assert.equal((await fetch(back.href.replace(/state=[^&]+/, "state=made-up"))).status, 400);
  const page = await fetch(back, { headers: { "accept-language": "fr-FR" } });
  assert.match(await page.text(), /Vous êtes connecté à other/);
  assert.equal((await fetch(back)).status, 400, "the same way twice");
  await here.ask("test", { name: "other" });
  await here.ask("approve", { name: "other", seen: seenOf(await factsOf(here, "other")) });
  assert.match(await called(here, "mcp_other__greet"), /hello/);
  assert.equal((await factsOf(here, "other")).signIn, "done");
  const grant = JSON.parse(here.secrets.get("oauth.other") ?? "{}") as { tokens: Record<string, string> };
  const seen = onDisk(here.dir) + here.logged.join("\n");
  for (const secret of [grant.tokens["access_token"], grant.tokens["refresh_token"]])
    assert.ok(secret !== undefined && !seen.includes(secret), "a token is where it should not be");
  assert.equal((await there.ask<{ clients: object[] }>("clients")).clients.length, 1);
  await here.ask("logout", { name: "other" });
  assert.deepEqual(here.secrets.size, 0);
  assert.deepEqual((await there.ask<{ clients: object[] }>("clients")).clients, []);
  assert.match(await called(here, "mcp_other__greet"), /wants you to sign in/);
});

test("many calls that meet an ended token renew it once, and all of them are answered", async (context) => {
  const { gateway, place } = await ready(context);
  gateway.expire();
  const answers = await Promise.all(Array.from({ length: 12 }, () => called(place, "mcp_hub__SEARCH_TOOLS")));
  for (const answer of answers) assert.match(answer, /SEARCH_TOOLS was run/);
  assert.equal(gateway.refreshed.length, 1);
});

test("when the sign-in is good no more the tools stay listed and say what to do", async (context) => {
  const { gateway, place } = await ready(context);
  gateway.forgetEverybody();
  assert.match(await called(place, "mcp_hub__SEARCH_TOOLS"), /nika mcp login hub/);
  const facts = await factsOf(place, "hub");
  assert.equal(facts.signIn, "wanted");
  assert.equal(facts.tools.length, 2);
  assert.match(await signIn(place, "hub"), /signed in to hub/);
  assert.match(await called(place, "mcp_hub__SEARCH_TOOLS"), /was run/);
});

test("rights that a tool wants are asked for beside those there are, with the owner's word", async (context) => {
  const { gateway, place } = await ready(context);
  assert.match(await called(place, "mcp_hub__EXECUTE_TOOL"), /more rights for this \(act\)/);
  assert.match(await called(place, "mcp_hub__SEARCH_TOOLS"), /was run/);
  assert.equal(gateway.asked.length, 1);
  await signIn(place, "hub");
  assert.deepEqual(gateway.asked, ["read", "read act"]);
  assert.match(await called(place, "mcp_hub__EXECUTE_TOOL"), /EXECUTE_TOOL was run/);
});

test("what a client shows Nika never reaches a server, and what a server is shown is for it alone", async (context) => {
  const { gateway, place } = await ready(context);
  const call = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "mcp_hub__SEARCH_TOOLS", arguments: {} } };
  const meta = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": { name: "t", version: "1" },
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  const answer = await fetch(`${place.origin}/mcp`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${owner}`,
      cookie: "nika_session=the-owners-session",
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": "tools/call",
      "mcp-name": "mcp_hub__SEARCH_TOOLS",
    },
    body: JSON.stringify({ ...call, params: { ...call.params, _meta: meta } }),
  });
  assert.match(await answer.text(), /was run/);
  const all = gateway.heard.map((one) => one.all).join("\n");
  assert.ok(!all.includes(owner) && !all.includes("the-owners-session"));
  // Another server may not be handed it by configuration, nor the same name at another address.
  const thief = await openHostedGateway();
  context.after(() => thief.close());
  const servers = {
    hub: { url: thief.url },
    thief: { url: thief.url, headers: { Authorization: "Bearer ${secret:oauth.hub}" } },
  };
  writeFileSync(join(place.dir, "mcp-servers.json"), JSON.stringify(servers));
  await place.ask("reload");
  assert.match((await factsOf(place, "thief")).problem ?? "", /cannot be handed to another server/);
  assert.ok(thief.heard.length > 0);
  assert.ok(thief.heard.every((one) => one.authorization === undefined));
});

test("the address of the browser can be pasted instead, and a browser is sent back to Nika alone", async (context) => {
  const { place } = await hosted(context);
  await assert.rejects(place.ask("login", { name: "hub", origin: "https://evil.example" }), /only to an address of Nika's own/);
  const { url } = await place.ask<{ url: string }>("login", { name: "hub", origin: `http://localhost:${place.port}` });
  const back = (await fetch(url, { redirect: "manual" })).headers.get("location") ?? "";
  assert.ok(back.startsWith(`http://localhost:${place.port}/nika/mcp/callback?`));
  assert.deepEqual(await place.ask("finish", { url: back }), { name: "hub" });
  await assert.rejects(place.ask("finish", { url: back }), /Nobody began this sign-in/);
});
