import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Answer } from "../../../convex/model/answer.ts";
import { isNikaError, NikaError } from "../../../convex/model/error.ts";
import type { Ports } from "../../../functions/define.ts";
import type { FileBytes } from "../../../functions/ports/files.ts";
import { schedulesOf } from "../../../appliance/schedules.ts";
import type { HostSchedules } from "../../../appliance/host/hostSchedules.ts";
import { nikaRoutes } from "../../../appliance/http/routes.ts";
import { openServer } from "../../../appliance/http/server.ts";
import { openKeys } from "../../../appliance/secrets/keys.ts";
import { openSecrets } from "../../../appliance/secrets/store.ts";
import { mintOwnerToken } from "../../../appliance/secrets/token.ts";

const dir = mkdtempSync(join(tmpdir(), "nika-http-"));
mkdirSync(join(dir, "web"));
writeFileSync(join(dir, "web/index.html"), "<title>page</title>");
writeFileSync(join(dir, "secret.txt"), "not for the web");
const keys = openKeys(dir);
const server = await openServer({ host: "127.0.0.1", port: 0, publicUrl: undefined, webDir: join(dir, "web") });
const secrets = await openSecrets({ dataDir: dir, tenantKeyFile: undefined, tenantId: "owner", now: () => Date.now() });
const asked: unknown[] = [];
let stops = 0;
server.serve({
  backend: undefined,
  connectTo: "",
  routes: nikaRoutes({
    version: "1",
    adminKey: keys.adminKey,
    signing: keys.signing,
    sessionKey: keys.session,
    origin: server.origin,
    secrets,
    convexUrl: server.origin,
    pictures: async (args) => {
      asked.push(args);
      return { pictures: [], sight: { id: "v", label: "v", seesMeaning: false, isInForce: true }, tookMs: 1 };
    },
    ask: async (args) => {
      asked.push(args);
      if (args.question === "boom") throw new Error("secret detail");
      return {
        question: args.question,
        language: "en",
        passages: [],
        understood: { filter: {}, phrases: [], codes: [], corrections: [] },
        embedder: { id: "e", label: "e", isBaseline: true },
        tookMs: 1,
      } satisfies Answer;
    },
    search: async (args) => {
      asked.push(args);
      return {
        question: "",
        language: "en",
        passages: [],
        understood: { filter: {}, phrases: [], codes: [], corrections: [] },
        embedder: { id: "e", label: "e", isBaseline: true },
        tookMs: 1,
      };
    },
    open: async (args) => {
      asked.push(args);
      return { ...args, documentName: "d", title: "d", passages: [], hasBefore: false, hasAfter: false };
    },
    schedules: schedulesOf({} as Ports, {} as HostSchedules),
    bridge: () => undefined,
    functions: () => undefined,
    gpu: () => undefined,
    telegram: { connect: async () => ({}), disconnect: async () => {} },
    media: {
      picture: async (id) => (id === "p1" ? { bytes: Buffer.from("picture"), mediaType: "image/webp" } : undefined),
      page: async (id, { page, widthMax }) =>
        id === "d1" && page < 3 ? { bytes: Buffer.from(`${page} ${widthMax}`), mediaType: "image/webp" } : undefined,
      file: async (id) => ({ bytes: inPieces(id), mediaType: "application/octet-stream", fileName: "ä\r\n.html" }),
      passages: async (_id, range) => ({ range }),
    },
    workers: () => undefined,
    stop: () => stops++,
    log: () => {},
    now: () => Date.now(),
  }),
});
after(async () => {
  await server.close();
  rmSync(dir, { recursive: true });
});

const admin = { authorization: `Convex ${keys.adminKey}` };
const post = (path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(server.origin + path, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body), headers });
const ownerToken = async (): Promise<string> =>
  ((await (await post("/nika/token", {}, admin)).json()) as { token: string }).token;

/** A file that comes piece by piece: `gone` never begins, `broken` ends too soon. */
function inPieces(id: string): FileBytes {
  return {
    sizeBytes: 8,
    async *pieces() {
      if (id === "gone") throw new NikaError("missing", "The file is gone from the storage.");
      yield Buffer.from("<scr");
      if (id === "broken") throw new NikaError("unavailable", "The file storage broke off.");
      yield Buffer.from("ipt>");
    },
  };
}

test("being first to visit opens nothing", async () => {
  assert.equal((await fetch(`${server.origin}/`)).headers.get("set-cookie"), null);
  assert.equal((await post("/nika/token", {})).status, 401);
  assert.equal((await post("/nika/links", {})).status, 401);
  assert.equal((await post("/nika/stop", {}, { authorization: "Convex nika|00" })).status, 401);
  assert.equal(stops, 0);
});

test("a link made by the machine's owner becomes a session once, and the session becomes tokens", async () => {
  const { url } = (await (await post("/nika/links", {}, admin)).json()) as { url: string };
  const code = new URL(url).hash.replace("#link=", "");

  const opened = await post("/nika/link", { code });
  const again = await post("/nika/link", { code });

  assert.equal(opened.status, 204);
  assert.equal(again.status, 410);
  const cookie = opened.headers.get("set-cookie") ?? "";
  assert.match(cookie, /HttpOnly; SameSite=Strict/);
  const token = await post("/nika/token", {}, { cookie: cookie.split(";")[0]! });
  assert.equal(token.status, 200);
});

test("a page on another name cannot reach the appliance through the owner's browser", async () => {
  const status = await new Promise((resolve) => {
    request({ host: "127.0.0.1", port: server.port, path: "/nika/health", headers: { host: "evil.example" } }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    }).end();
  });
  assert.equal(status, 421);
});

test("a question needs the owner's token and sensible words", async () => {
  const authorization = `Bearer ${await ownerToken()}`;
  assert.equal((await post("/nika/ask", { question: "where?" })).status, 401);
  assert.equal((await post("/nika/ask", { question: "" }, { authorization })).status, 400);
  assert.equal((await post("/nika/ask", { question: "x".repeat(2_001) }, { authorization })).status, 400);
  assert.equal((await post("/nika/ask", { question: "where?", limit: 0 }, { authorization })).status, 400);
  assert.equal((await post("/nika/ask", "{", { authorization })).status, 400);
  assert.equal((await post("/nika/ask", "[]", { authorization })).status, 400);
  assert.equal((await post("/nika/ask", " ".repeat(100_000), { authorization })).status, 400);
  assert.equal(asked.length, 0);
  assert.equal((await post("/nika/ask", { question: " where? " }, { authorization })).status, 200);
  assert.deepEqual(asked, [{ question: "where?", limit: 5 }]);
});

test("pictures are asked for by words, by one that is kept, or by one that is sent, and by the owner alone", async () => {
  const authorization = `Bearer ${await ownerToken()}`;
  const image = Buffer.from("a picture of more than a question may have".repeat(3_000));
  assert.equal((await post("/nika/pictures", { question: "boats" })).status, 401);
  for (const body of [
    {},
    { question: "boats", imageId: "p1" },
    { question: "" },
    { imageId: "../p1" },
    { image: "no base64!" },
    { question: "boats", limit: 0 },
    { question: "boats", filter: { colour: "red" } },
  ])
    assert.equal((await post("/nika/pictures", body, { authorization })).status, 400, JSON.stringify(body));

  asked.length = 0;
  for (const body of [{ question: " boats " }, { imageId: "p1", limit: 3 }, { image: image.toString("base64") }])
    assert.equal((await post("/nika/pictures", body, { authorization })).status, 200);
  assert.deepEqual(asked.splice(0), [
    { question: "boats", limit: 12 },
    { imageId: "p1", limit: 3 },
    { image: new Uint8Array(image), limit: 12 },
  ]);
});

test("what breaks inside stays inside", async () => {
  const answer = await post("/nika/ask", { question: "boom" }, { authorization: `Bearer ${await ownerToken()}` });
  assert.equal(answer.status, 500);
  assert.doesNotMatch(await answer.text(), /secret detail/);
});

test("only files of the page are served, under a strict policy", async () => {
  const page = await fetch(`${server.origin}/documents`);
  assert.equal(await page.text(), "<title>page</title>");
  assert.match(page.headers.get("content-security-policy") ?? "", /default-src 'self'/);
  for (const path of ["/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/nothing.js"]) {
    const raw = await new Promise<number | undefined>((resolve) => {
      request({ host: "127.0.0.1", port: server.port, path }, (answer) => resolve(answer.resume().statusCode)).end();
    });
    assert.equal(raw, 404, path);
  }
});

test("an unknown route of ours says so, and a taken port is told by its number", async () => {
  assert.equal((await fetch(`${server.origin}/nika/nothing`)).status, 404);
  const other = createServer().listen(0, "127.0.0.1");
  await new Promise((done) => other.once("listening", done));
  const { port } = other.address() as { port: number };
  await assert.rejects(openServer({ host: "127.0.0.1", port, publicUrl: undefined, webDir: dir }), (error: unknown) => {
    assert(isNikaError(error) && error.code === "conflict");
    assert.match(error.message, new RegExp(`${port}`));
    return true;
  });
  other.close();
});

test("pictures, pages and files are the owner's: by session, token or key, and never for a stranger", async () => {
  const paths = ["/pictures/p1", "/pages/d1/1", "/files/d1", "/passages/d1"];
  for (const path of paths) {
    assert.equal((await fetch(server.origin + path)).status, 401, path);
    const forged = { cookie: "nika_session=1.2.3", authorization: "Bearer nonsense" };
    assert.equal((await fetch(server.origin + path, { headers: forged })).status, 401, path);
    assert.equal((await fetch(server.origin + path, { headers: admin })).status, 200, path);
  }
  const { url } = (await (await post("/nika/links", {}, admin)).json()) as { url: string };
  const opened = await post("/nika/link", { code: new URL(url).hash.replace("#link=", "") });
  const cookie = opened.headers.get("set-cookie")?.split(";")[0] ?? "";
  const picture = await fetch(`${server.origin}/pictures/p1`, { headers: { cookie } });
  assert.equal(await picture.text(), "picture");
  assert.equal(picture.headers.get("content-type"), "image/webp");
  assert.equal(picture.headers.get("x-content-type-options"), "nosniff");
  assert.match(picture.headers.get("cache-control") ?? "", /^private, .*immutable$/u);
  assert.match(picture.headers.get("content-security-policy") ?? "", /sandbox/u);
  const token = { authorization: `Bearer ${await ownerToken()}` };
  assert.equal(await (await fetch(`${server.origin}/pages/d1/2?width=300`, { headers: token })).text(), "2 300");
  const file = await fetch(`${server.origin}/files/d1`, { headers: token });
  assert.equal(file.headers.get("content-disposition"), "attachment; filename*=UTF-8''%C3%A4%0D%0A.html");
  assert.equal(file.headers.get("content-length"), "8");
  assert.equal(await file.text(), "<script>");
});

test("a file that breaks off on its way is never taken for whole", async () => {
  await assert.rejects(async () => (await fetch(`${server.origin}/files/broken`, { headers: admin })).text());
});

test("a page or picture that is not there is missing, and a nonsensical address is refused", async () => {
  const get = async (path: string): Promise<number> => (await fetch(server.origin + path, { headers: admin })).status;
  assert.deepEqual(
    await Promise.all(["/pictures/p2", "/pages/d1/3", "/pages/d2/1", "/files/gone"].map(get)),
    [404, 404, 404, 404],
  );
  for (const path of ["/pages/d1/0", "/pages/d1/x", "/pages/d1/1?width=9", "/pages/d1/1?width=1e9", "/passages/d1?from=-1"])
    assert.equal(await get(path), 400, path);
  assert.equal((await fetch(`${server.origin}/pictures/..%2fsecret.txt`, { headers: admin })).status, 404);
});

test("no address, however odd, ends the process or is left without an answer", async () => {
  const statusOf = (path: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      request({ host: "127.0.0.1", port: server.port, path, timeout: 5_000 }, (answer) => resolve(answer.resume().statusCode))
        .on("timeout", () => reject(new Error(`${path} was left without an answer`)))
        .on("error", reject)
        .end();
    });
  for (const path of [
    "//",
    "//?x",
    "/\\\\",
    "/%ff",
    "/nika/%ff",
    "/nika/media/%ff",
    "/api/schedules/%ff",
    "/nika/secrets/%ff",
    "//[",
    "http://[",
  ])
    assert.match(String(await statusOf(path)), /^[24]/u, path);
});

test("the owner keeps, lists and forgets secrets; values never come back, and recovery is the machine's alone", async () => {
  const admin = { authorization: `Convex ${keys.adminKey}` };
  const owner = { authorization: `Bearer ${mintOwnerToken(keys.signing, Date.now()).token}` };
  const call = (method: string, path: string, headers: Record<string, string>, body?: object): Promise<Response> =>
    fetch(`${server.origin}/nika/secrets${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) });
  assert.equal((await call("GET", "", {})).status, 401);
  assert.equal((await call("POST", "", owner, { name: "token", value: "canary" })).status, 200);
  assert.equal((await call("POST", "", owner, { name: "../x", value: "canary" })).status, 400);
  const listed = await (await call("GET", "", admin)).text();
  assert.match(listed, /"name":"token"/u);
  assert(!listed.includes("canary"));
  for (const [method, path] of [
    ["GET", "/recovery"],
    ["POST", "/rekey"],
  ] as const)
    assert.equal((await call(method, path, owner)).status, 401, path);
  assert.match(await (await call("GET", "/recovery", admin)).text(), /AGE-SECRET-KEY-1/u);
  assert.equal((await call("DELETE", "", owner, { name: "token" })).status, 200);
  assert.equal((await call("DELETE", "", owner, { name: "token" })).status, 404);
});
