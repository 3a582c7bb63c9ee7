import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer as createHttp } from "node:http";
import { createServer, type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import ssh2 from "ssh2";
import { doorPort } from "../../../appliance/gpu/reach.ts";
import { killMarked } from "../../../appliance/gpu/local/marked.ts";
import type { Host } from "../../../appliance/gpu/ssh/hosts.ts";
import { openSession } from "../../../appliance/gpu/ssh/session.ts";
import { sshProvider } from "../../../appliance/gpu/ssh/ssh.ts";
import { openWays, type Reached } from "../../../appliance/gpu/ssh/ways.ts";
import { machineName, type MachineIntent } from "../../../convex/model/gpu.ts";
import { freePort } from "../../../scripts/lab/freePort.ts";

const root = mkdtempSync(join(tmpdir(), "nikaSsh"));
const signal = AbortSignal.timeout(30_000);
const key = ssh2.utils.generateKeyPairSync("ed25519");
const hostKey = ssh2.utils.generateKeyPairSync("ed25519");
const closing: (() => void)[] = [];
const clients = new Set<ssh2.Connection>();
after(() => {
  for (const close of closing) close();
  rmSync(root, { recursive: true, force: true });
});

/** A machine that speaks SSH and has a shell: this one, with a home of its own. */
async function openMachine(shows = hostKey.private): Promise<number> {
  const allowed = ssh2.utils.parseKey(key.public);
  assert.ok(!(allowed instanceof Error));
  const server = new ssh2.Server({ hostKeys: [shows] }, (client) => {
    const forwards: Server[] = [];
    clients.add(client);
    client.on("authentication", (context) => {
      const isKnown =
        context.method === "publickey" && context.key.data.equals((Array.isArray(allowed) ? allowed[0] : allowed).getPublicSSH());
      if (isKnown) context.accept();
      else context.reject(["publickey"]);
    });
    client.on("ready", () => {
      client.on("request", (accept, reject, name, info) => {
        if (name !== "tcpip-forward") {
          reject?.();
          return;
        }
        const { bindAddr, bindPort } = info;
        const listener = createServer((socket) => {
          client.forwardOut(bindAddr, bindPort, "127.0.0.1", 1, (error, channel) => {
            if (error) socket.destroy();
            else socket.pipe(channel).pipe(socket);
          });
        });
        listener.listen(bindPort, bindAddr, () => accept?.());
        forwards.push(listener);
      });
      client.on("session", (accept) => {
        accept().on("exec", (acceptExec, _reject, { command }) => {
          const stream = acceptExec();
          const child = spawn("sh", ["-c", command], { env: { PATH: process.env["PATH"], HOME: root } });
          child.stdout.pipe(stream, { end: false });
          stream.pipe(child.stdin);
          child.on("exit", (code) => {
            stream.exit(code ?? 1);
            stream.end();
          });
        });
      });
    });
    client.on("close", () => forwards.forEach((one) => one.close()));
    client.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

test("work on a machine by SSH is started once, reaches the door by a tunnel, is found by name, and ends with all it started", async () => {
  const port = await openMachine();
  const address = { host: "127.0.0.1", port, user: "me", privateKey: key.private };
  const first = await openSession(address);
  first.end();
  const socket = join(root, "door.sock");
  const door = createHttp((request, response) => response.end(`the door, ${request.url}`));
  await new Promise<void>((resolve) => door.listen(socket, resolve));
  closing.push(() => door.close());
  const host: Host = {
    ...address,
    name: "box",
    fingerprint: first.fingerprint,
    slots: 1,
    cpus: 2,
    memoryMb: 1_000,
    diskMb: 1_000,
  };
  const provider = sshProvider({
    hosts: () => [host],
    privateKey: async () => key.private,
    socket,
    now: () => 1,
    log: () => undefined,
  });
  closing.push(() => provider.close());
  const [offer] = await provider.offers({}, signal);
  assert.ok(offer);
  const intentOf = (machineId: string): MachineIntent => ({
    name: machineName({ installId: "k17insta", machineId, deadline: 1e12 }),
    installId: "k17insta",
    machineId,
    token: "",
    deadline: 1e12,
    offer,
    diskMb: 1,
    publicKey: "",
    boot: "sleep 100 & sleep 100",
  });
  const intent = intentOf("machine0test");
  closing.push(() => void killMarked(intent.name));
  const made = await provider.create(intent, signal);
  assert.equal(made.type, "created");
  assert.equal((await provider.create(intent, signal)).type, "created");
  const [mine, ...others] = await Array.fromAsync(provider.list(signal));
  assert.deepEqual(others, []);
  assert.equal(mine?.state, "running");
  assert.equal(mine.machineId, "machine0test");
  assert.equal(await (await fetch(`http://127.0.0.1:${doorPort}/nika/gpu/agent/x`)).text(), "the door, /nika/gpu/agent/x");
  const second = await provider.create(intentOf("machine0more"), signal);
  assert.equal(second.type === "failed" && second.failure.kind, "noCapacity");
  await provider.terminate(mine.ref, signal);
  assert.deepEqual(await Array.fromAsync(provider.list(signal)), []);
  assert.equal(await provider.describe(mine.ref, signal), undefined);
});

test("another machine at a pinned address is not signed in to, and neither is one that does not know the key", async () => {
  const port = await openMachine();
  const address = { host: "127.0.0.1", port, user: "me" };
  await assert.rejects(openSession({ ...address, privateKey: key.private, fingerprint: "another" }), {
    code: "denied",
    message: /Another machine/,
  });
  const stranger = ssh2.utils.generateKeyPairSync("ed25519").private;
  await assert.rejects(openSession({ ...address, privateKey: stranger }), { code: "denied", message: /authorized_keys/ });
});

async function until(look: () => Promise<boolean>): Promise<void> {
  while (!(await look())) {
    signal.throwIfAborted();
    await delay(20);
  }
}

test("a way is laid to a rented machine once it shows the key that was made for it, anew when it breaks, and not any more when it is let go", async () => {
  const own = ssh2.utils.generateKeyPairSync("ed25519");
  // As it booted, before it was given its key.
  const before = await openMachine();
  let at: number | undefined = before;
  const home = createHttp((request, response) => response.end(`home, ${request.url}`));
  await new Promise<void>((resolve) => home.listen(0, "127.0.0.1", resolve));
  const way = await freePort();
  const heard: string[] = [];
  const ways = openWays({
    waysOf: () => [{ port: way, to: (home.address() as AddressInfo).port }],
    addressOf: async () => (at === undefined ? undefined : { host: "127.0.0.1", sshPort: at }),
    keyOf: async () => ({
      publicKey: key.public,
      privateKey: key.private,
      host: { publicKey: own.public, privateKey: own.private },
    }),
    log: (line) => heard.push(line),
    againMs: 20,
  });
  closing.push(
    () => ways.close(),
    () => home.close(),
  );
  const machine = { id: "one", name: "nika-one", provider: "scaleway", state: "booting", ref: {} } as unknown as Reached;
  const answer = (): Promise<string> =>
    fetch(`http://127.0.0.1:${way}/x`, { headers: { connection: "close" } }).then(
      (response) => response.text(),
      () => "nobody",
    );

  ways.heed([machine]);
  await until(async () => heard.some((line) => line.includes("Another machine answers")));
  assert.equal(await answer(), "nobody");
  at = await openMachine(own.private);
  await until(async () => (await answer()) === "home, /x");

  // The machine starts anew elsewhere.
  for (const client of clients) client.end();
  at = await openMachine(own.private);
  await until(async () => (await answer()) === "home, /x");

  ways.heed([]);
  await until(async () => (await answer()) === "nobody");
});
