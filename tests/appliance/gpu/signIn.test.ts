/** Signing in to a rented machine: which there is, by which key, and that no key is left lying about. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { openSsh } from "../../../appliance/cli/gpuSsh.ts";
import { consoleOf } from "../../../appliance/gpu/console.ts";
import { newSshKey } from "../../../appliance/gpu/ssh/hosts.ts";
import { signInTo, type SigningIn } from "../../../appliance/gpu/ssh/signIn.ts";
import type { MachineView } from "../../../convex/model/machine.ts";
import { offerAt } from "../../fakes/gpu/plain.ts";

const dir = mkdtempSync(join(tmpdir(), "nikaSignIn"));
after(() => rmSync(dir, { recursive: true, force: true }));

const machineOf = (key: string, changes: Partial<MachineView> = {}): MachineView =>
  ({
    id: `row-${key}`,
    name: `nika-k17exam0-${key}-thl2o0`,
    provider: "scaleway",
    offer: offerAt("scaleway", "fr-par-2", 0, 1),
    state: "busy",
    deadline: 10,
    ref: { provider: "scaleway", region: "fr-par-2", id: key },
    ...changes,
  }) as MachineView;

async function world(machines: readonly MachineView[], address?: { host: string; sshPort: number }) {
  const key = { ...(await newSshKey()), host: await newSshKey() };
  const asked: string[] = [];
  const describe = async () => ({ ...(address && { address }) });
  const signingIn = {
    machines,
    providers: { open: async () => ({ describe }) as never },
    keys: { of: async (machine: string) => (asked.push(machine), key) },
    signal: new AbortController().signal,
  } as unknown as SigningIn;
  return { signingIn, key, asked };
}

test("a machine is found by a part of its name, and answers by the key that was made for it", async () => {
  const [one, other] = [machineOf("aaaaaaaaaaa1"), machineOf("aaaaaaaaaaa2")];
  const { signingIn, key, asked } = await world([one, other], { host: "198.51.100.7", sshPort: 2222 });
  const way = await signInTo("aaa2", signingIn);
  assert.deepEqual(asked, ["aaaaaaaaaaa2"]);
  assert.deepEqual([way.host, way.port, way.user], ["198.51.100.7", 2222, "root"]);
  assert.equal(way.hostKey, key.host.publicKey.split(" ").slice(0, 2).join(" "));
  await assert.rejects(signInTo("aaa", signingIn), /part of several names/);
  await assert.rejects(signInTo("", signingIn), { code: "missing" });
});

test("who has no way in says why: a vendor's own job, one that is ending, one without an address, and one's own machines", async () => {
  const offer = offerAt("aws", "eu-west-3", 0, 1);
  const managed = machineOf("managed00000", { provider: "aws", offer: { ...offer, form: "managed" } });
  const ending = machineOf("ending000000", { state: "ending" });
  const { signingIn } = await world([managed, ending, machineOf("fresh0000000"), machineOf("mine00000000", { provider: "ssh" })]);
  await assert.rejects(signInTo("managed", signingIn), /lets nobody in/);
  await assert.rejects(signInTo("ending", signingIn), /not there to sign in to/);
  await assert.rejects(signInTo("fresh", signingIn), /no address/);
  await assert.rejects(signInTo("mine", signingIn), /machine of yours/);
});

test("the key is a file of its owner's alone while ssh runs, the machine's own is pinned, and nothing is left", async () => {
  const [told, program] = [join(dir, "told"), join(dir, "ssh")];
  const script = `#!/bin/sh\nprintf '%s\\n' "$@" > ${told}\nstat -c %a "$2" >> ${told}\nhead -1 "$2" >> ${told}\nexit 7\n`;
  writeFileSync(program, script, { mode: 0o755 });
  const { privateKey } = await newSshKey();
  const way = { name: "nika-m", host: "198.51.100.7", port: 2222, user: "root", privateKey, hostKey: "ssh-ed25519 AAAA" };
  assert.equal(await openSsh(way, ["nvidia-smi"], program), 7);
  const lines = readFileSync(told, "utf8").trim().split("\n");
  assert.deepEqual(lines.slice(-4), ["root@198.51.100.7", "nvidia-smi", "600", "-----BEGIN OPENSSH PRIVATE KEY-----"]);
  assert.ok(lines.includes("StrictHostKeyChecking=yes") && lines.includes("HostKeyAlias=nika-m"));
  assert.ok(!existsSync(lines[1] ?? ""), "the key is gone");
  await assert.rejects(openSsh(way, [], join(dir, "none")), { code: "unavailable" });
});

test("what a provider has of a machine's output is told whole; who has none says so", async () => {
  const { signingIn } = await world([machineOf("aaaaaaaaaaa1")]);
  const pieces: Readonly<Record<string, { text: string; cursor: string }>> = {
    "": { text: "boot\n", cursor: "5" },
    "5": { text: "no network\n", cursor: "16" },
    "16": { text: "", cursor: "16" },
  };
  const output = async (_ref: unknown, cursor = "") => pieces[cursor];
  const told = await consoleOf("aaa1", { ...signingIn, providers: { open: async () => ({ output }) as never } });
  assert.deepEqual(told, { name: machineOf("aaaaaaaaaaa1").name, text: "boot\nno network\n" });
  await assert.rejects(consoleOf("aaa1", signingIn), { code: "missing" });
});
