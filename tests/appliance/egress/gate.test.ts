import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { PassThrough, type Duplex } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { after, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { openGate, type GateOptions } from "../../../appliance/egress/gate.ts";
import { openMux } from "../../../appliance/egress/guest/frames.ts";
import type { SandboxConnection } from "../../../functions/ports/sandboxes.ts";
import { helloFor } from "./hello.ts";

const servers: Server[] = [];
after(() => servers.forEach((server) => server.close()));

async function listening(server: Server): Promise<number> {
  servers.push(server.on("connection", (socket: Socket) => socket.on("error", () => undefined)));
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return (server.address() as AddressInfo).port;
}

/** A gate, and what a sandbox holds: the inner end of its pipe. */
function gated(options: Partial<GateOptions> = {}) {
  const told: SandboxConnection[] = [];
  const waiting: (() => void)[] = [];
  const gate = openGate({
    sandbox: "box",
    allowed: [],
    report(one) {
      told.push(one);
      for (const wake of waiting.splice(0)) wake();
    },
    resolve: async () => ["127.0.0.1"],
    ...options,
  });
  const [outwards, inwards] = [new PassThrough(), new PassThrough()];
  gate.serve(outwards, inwards);
  const mux = openMux({ input: inwards, output: outwards });
  after(() => gate.close());
  return {
    mux,
    outwards,
    inwards,
    told,
    /** The reports, once there are so many. */
    async reports(count: number) {
      while (told.length < count) await new Promise<void>((wake) => waiting.push(wake));
      return told;
    },
  };
}

async function ask(connection: Duplex, words: string): Promise<string> {
  connection.write(words);
  const [first] = (await once(connection, "data")) as [Buffer];
  return first.toString();
}

const tunnelTo = (to: string) => `CONNECT ${to} HTTP/1.1\r\nHost: ${to}\r\n\r\n`;

test("a tunnel to what is allowed passes bytes both ways, and is told with their count", async () => {
  const port = await listening(createServer((socket) => socket.pipe(socket)));
  const { mux, reports } = gated({ allowed: [`127.0.0.1:${port}`], now: () => 5 });
  const connection = mux.open();
  assert.match(await ask(connection, tunnelTo(`127.0.0.1:${port}`)), /^HTTP\/1.1 200 /);
  connection.end("x".repeat(300_000));
  assert.equal((await text(connection)).length, 300_000);
  assert.deepEqual(await reports(1), [
    { sandbox: "box", to: `127.0.0.1:${port}`, allowed: true, bytesIn: 300_000, bytesOut: 300_000, at: 5 },
  ]);
});

test("everything else is refused, in every way of writing it, and told", async () => {
  const port = await listening(createServer((socket) => assert.fail(`somebody connected from ${socket.remotePort}`)));
  const { mux, reports } = gated({ allowed: ["a.example:443"] });
  const places = [
    ...`127.0.0.1:${port} localhost:${port} 127.1:${port} 2130706433:${port} 0x7f000001:${port} 0177.0.0.1:${port} 0:${port}`.split(
      " ",
    ),
    ...`[::1]:${port} [::ffff:127.0.0.1]:${port} [::ffff:7f00:1]:${port} 0.0.0.0:${port} 169.254.169.254:80 a.example:80`.split(
      " ",
    ),
    ..."b.example:443 a.example.:443 a.example:443@b.example:443 sub.a.example:443 xa.example:443 A.example:4430 a.example:0443x".split(
      " ",
    ),
  ];
  for (const place of places) assert.match(await ask(mux.open(), tunnelTo(place)), /^HTTP\/1.1 403 /, place);
  const told = await reports(places.length);
  assert.deepEqual(
    told.map(({ to }) => to),
    places,
  );
  assert.ok(told.every(({ allowed, reason }) => !allowed && reason !== undefined));
});

test("a name that leads inside is refused, unless that address was named too", async () => {
  const port = await listening(createServer((socket) => socket.end("inside")));
  for (const addresses of [["127.0.0.1"], ["1.1.1.1", "127.0.0.1"], ["10.1.2.3"], ["::ffff:127.0.0.1"], ["fd00::1"], []]) {
    const { mux } = gated({ allowed: [`db.example:${port}`], resolve: async () => addresses });
    assert.match(await ask(mux.open(), tunnelTo(`db.example:${port}`)), /^HTTP\/1.1 (403|502) /, addresses.join());
  }
  const { mux } = gated({ allowed: [`db.example:${port}`, `127.0.0.1:${port}`] });
  assert.match(await ask(mux.open(), tunnelTo(`db.example:${port}`)), /^HTTP\/1.1 200 /);
});

test("inside TLS the client must ask for whom it named", async () => {
  const heard: Buffer[] = [];
  const port = await listening(
    createServer((socket) => socket.once("data", (bytes) => void (heard.push(bytes), socket.end("ok")))),
  );
  const { mux, reports } = gated({ allowed: [`a.example:${port}`, `127.0.0.1:${port}`] });
  const say = async (to: string, hello: Buffer): Promise<string> => {
    const connection = mux.open();
    await ask(connection, tunnelTo(to));
    // In two packets, of which the first says nothing yet.
    connection.write(hello.subarray(0, 20));
    connection.write(hello.subarray(20));
    const answer = (await buffer(connection).catch(() => Buffer.alloc(0))).toString();
    connection.destroy();
    return answer;
  };
  assert.equal(await say(`a.example:${port}`, await helloFor("a.example")), "ok");
  assert.equal(await say(`127.0.0.1:${port}`, await helloFor(undefined)), "ok");
  assert.equal(heard.length, 2);
  assert.equal(await say(`a.example:${port}`, await helloFor("b.example")), "");
  assert.equal(await say(`a.example:${port}`, await helloFor(undefined)), "");
  assert.equal(heard.length, 2);
  assert.match((await reports(4))[2]?.reason ?? "", /asks for b\.example instead/);
});

test("a request in absolute form goes to its host, under that name", async () => {
  const server = createHttpServer((asked, response) => {
    asked
      .resume()
      .once("end", () =>
        response.end(`${asked.method} ${asked.url} ${asked.headers.host} ${asked.headers["proxy-authorization"]}`),
      );
  });
  const port = await listening(server);
  const { mux, reports } = gated({ allowed: [`a.example:${port}`, `127.0.0.1:${port}`] });
  const request = (line: string, headers: string): Promise<string> => {
    const connection = mux.open();
    connection.write(`${line}\r\n${headers}\r\nConnection: close\r\n\r\n`);
    return text(connection);
  };
  const fine = await request(
    `POST http://a.example:${port}/x?y=1 HTTP/1.1`,
    "Host: other.example\r\nProxy-Authorization: Basic eDp5\r\nContent-Length: 0",
  );
  assert.match(fine, new RegExp(`^HTTP/1.1 200 [^]*POST /x\\?y=1 a\\.example:${port} undefined`));
  assert.match(await request(`GET http://b.example:${port}/ HTTP/1.1`, "Host: a.example"), /^HTTP\/1.1 403 /);
  assert.match(await request(`GET https://a.example:${port}/ HTTP/1.1`, "Host: a.example"), /^HTTP\/1.1 400 /);
  assert.match(await request("GET /local HTTP/1.1", "Host: a.example"), /^HTTP\/1.1 400 /);
  assert.equal((await reports(4)).filter(({ allowed }) => allowed).length, 1);
});

test("beyond its bytes a sandbox is cut off", async () => {
  const port = await listening(createServer((socket) => socket.on("error", () => undefined).end(Buffer.alloc(400_000))));
  const { mux, reports } = gated({ allowed: [`127.0.0.1:${port}`], limits: { bytesMax: 100_000 } });
  const connection = mux.open();
  await ask(connection, tunnelTo(`127.0.0.1:${port}`));
  await buffer(connection).catch(() => undefined);
  assert.match((await reports(1))[0]?.reason ?? "", /used up the bytes/);
  const other = mux.open();
  await ask(other, tunnelTo(`127.0.0.1:${port}`));
  await buffer(other).catch(() => undefined);
  assert.match((await reports(2))[1]?.reason ?? "", /used up the bytes/);
});

test("a connection on which nothing moves is cut", async () => {
  const port = await listening(createServer(() => undefined));
  const { mux, reports } = gated({ allowed: [`127.0.0.1:${port}`], limits: { idleMs: 30 } });
  const connection = mux.open();
  await ask(connection, tunnelTo(`127.0.0.1:${port}`));
  await once(connection, "close");
  assert.match((await reports(1))[0]?.reason ?? "", /nothing moved/);
});

test("one connection too many is refused by itself", async () => {
  const port = await listening(createServer((socket) => socket.pipe(socket)));
  const { mux } = gated({ allowed: [`127.0.0.1:${port}`], limits: { connectionsMax: 2 } });
  const [one, two, three] = [mux.open(), mux.open(), mux.open()];
  await Promise.all([ask(one, tunnelTo(`127.0.0.1:${port}`)), ask(two, tunnelTo(`127.0.0.1:${port}`)), once(three, "close")]);
  assert.equal(await ask(one, "still"), "still");
});

test("who does not read holds up who sends, and nobody else", async () => {
  const senders: Socket[] = [];
  const port = await listening(
    createServer((socket) => {
      senders.push(socket.on("error", () => undefined));
      const fill = (): void => {
        while (socket.write(Buffer.alloc(65_536)));
      };
      socket.on("drain", fill);
      fill();
    }),
  );
  const { mux, inwards } = gated({ allowed: [`127.0.0.1:${port}`] });
  const lazy = mux.open();
  await ask(lazy, tunnelTo(`127.0.0.1:${port}`));
  lazy.pause();
  let passed = 0;
  inwards.on("data", (bytes: Buffer) => void (passed += bytes.length));
  for (let quiet = 0, last = -1; quiet < 50; quiet = passed === last ? quiet + 1 : 0, last = passed) await turn();
  assert.ok(passed < 600_000, `${passed} bytes were pressed upon who does not read`);
  const eager = mux.open();
  await ask(eager, tunnelTo(`127.0.0.1:${port}`));
  let read = 0;
  for await (const piece of eager) if ((read += (piece as Buffer).length) > 3e6) break;
  for (const sender of senders) sender.destroy();
});

test("garbage in the pipe ends that pipe, and only that", async () => {
  const frame = (id: number, kind: number, bytes = Buffer.alloc(0), length = bytes.length): Buffer => {
    const header = Buffer.alloc(8);
    header.writeUInt32BE(id, 0);
    header.writeUInt32BE(((kind << 24) | length) >>> 0, 4);
    return Buffer.concat([header, bytes]);
  };
  const hostile = [
    randomBytes(100_000),
    Buffer.from("GET / HTTP/1.1\r\n\r\n"),
    frame(1, 0),
    frame(1, 9),
    frame(7, 2, Buffer.from("x")),
    frame(1, 1, Buffer.from("x")),
    Buffer.concat([frame(1, 1), frame(1, 1)]),
    Buffer.concat([frame(1, 1), frame(1, 5, Buffer.from([255, 255, 255, 255]))]),
    Buffer.concat([frame(1, 1), frame(1, 5, Buffer.from([1]))]),
    frame(1, 2, Buffer.alloc(0), 0xffffff),
    Buffer.concat([frame(1, 1), ...Array.from({ length: 40 }, () => frame(1, 2, Buffer.alloc(32_768, "x")))]),
  ];
  for (const [n, bytes] of hostile.entries()) {
    const { outwards, reports } = gated();
    outwards.write(bytes);
    assert.match((await reports(1))[0]?.reason ?? "", /^(the way out was closed|it |only)/, `${n}`);
  }
  const port = await listening(createServer((socket) => socket.pipe(socket)));
  const { mux } = gated({ allowed: [`127.0.0.1:${port}`] });
  assert.match(await ask(mux.open(), tunnelTo(`127.0.0.1:${port}`)), /^HTTP\/1.1 200 /);
});

test("what is no HTTP is let go of without a word", async () => {
  const { mux } = gated();
  const connection = mux.open();
  connection.write(randomBytes(5000));
  await once(connection, "close");
});
