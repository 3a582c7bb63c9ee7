import assert from "node:assert/strict";
import { test } from "node:test";
import { findRoute } from "../../../../appliance/engine/http/httpActions.ts";
import { fakeCore } from "../../../fakes/core.ts";
import { serve } from "../served.ts";

const routes = [
  { method: "GET", path: "/exact" },
  { method: "GET", path: "/files/*" },
  { method: "GET", path: "/files/deep/*" },
  { method: "POST", path: "/echo" },
];

test("an exact path comes before a prefix and a long prefix before a short one", () => {
  assert.equal(findRoute(routes, "GET", "/exact")?.path, "/exact");
  assert.equal(findRoute(routes, "GET", "/files/a")?.path, "/files/*");
  assert.equal(findRoute(routes, "GET", "/files/deep/a")?.path, "/files/deep/*");
  assert.equal(findRoute(routes, "POST", "/exact"), undefined);
  assert.equal(findRoute(routes, "TRACE", "/exact"), undefined);
});

test("an HTTP action gets the request and its answer goes out, streamed and with all headers", async () => {
  const core = fakeCore({
    functions: {},
    httpRoutes: routes,
    http: async (request) => {
      const headers = new Headers({ "x-path": new URL(request.url).pathname, "x-sent": request.headers.get("x-sent") ?? "" });
      headers.append("set-cookie", "a=1");
      headers.append("set-cookie", "b=2");
      return new Response(request.body, { status: 201, headers });
    },
  });
  await using served = await serve(async () => core);
  const body = "x".repeat(200_000);

  const response = await fetch(`${served.url}/http/echo?q=1`, { method: "POST", body, headers: { "x-sent": "yes" } });

  assert.equal(response.status, 201);
  assert.equal(await response.text(), body);
  assert.equal(response.headers.get("x-path"), "/echo");
  assert.equal(response.headers.get("x-sent"), "yes");
  assert.deepEqual(response.headers.getSetCookie(), ["a=1", "b=2"]);
  assert.equal((await fetch(`${served.url}/http/nowhere`)).status, 404);
});

test("an HTTP action that breaks is answered with 500 and no details", async () => {
  const core = fakeCore({
    functions: {},
    httpRoutes: routes,
    http: async () => {
      throw new Error("secret detail");
    },
  });
  await using served = await serve(async () => core);
  const response = await fetch(`${served.url}/http/exact`);

  assert.equal(response.status, 500);
  assert.ok(!(await response.text()).includes("secret"));
  assert.match(served.logged.join(), /secret detail/);
});

test("without an http.ts there is nothing under /http", async () => {
  await using served = await serve(async () => fakeCore({ functions: {} }));

  assert.equal((await fetch(`${served.url}/http/exact`)).status, 404);
});
