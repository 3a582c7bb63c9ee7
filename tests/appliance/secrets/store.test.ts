import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { adoptServiceKeys } from "../../../appliance/secrets/serviceKeys.ts";
import { openSecrets, type SecretStore, type SecretStoreOptions } from "../../../appliance/secrets/store.ts";

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), "nika-secrets-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

const open = (dataDir: string, more: Partial<SecretStoreOptions> = {}): Promise<SecretStore> =>
  openSecrets({ dataDir, tenantKeyFile: undefined, tenantId: "owner", now: () => Date.now(), ...more });

/** Every file below a folder, with its bytes. */
const files = (dir: string): [string, Buffer][] =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => [path, readFileSync(path)]);

test("a secret is there after a restart, and nowhere on the disk in clear", async (t) => {
  const dir = folder(t);
  const canary = "canary-5e1f-value";
  await (await open(dir)).set("GITHUB_TOKEN", canary, "test");
  assert.equal(await (await open(dir)).find("GITHUB_TOKEN", "test"), canary);
  for (const [path, bytes] of files(dir)) {
    assert(!bytes.includes(canary), path);
    assert.equal(statSync(path).mode & 0o777, 0o600, path);
  }
});

test("a machine without secrets makes no keys for them", async (t) => {
  const dir = folder(t);
  const secrets = await open(dir);
  assert.equal(await secrets.find("none", "test"), undefined);
  assert.deepEqual(await secrets.list(), []);
  assert.deepEqual(readdirSync(dir), []);
});

test("every read and change is in the audit, without a value", async (t) => {
  const dir = folder(t);
  const secrets = await open(dir);
  await secrets.set("key", "v4lue", "command line");
  await secrets.find("key", "mcp github");
  await secrets.renew("key", async (value) => `${value}-2`, "oauth");
  await secrets.remove("key", "page");
  const audit = readFileSync(join(dir, "secrets", "audit.jsonl"), "utf8");
  const lines = audit
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { action: string; name: string; by: string });
  assert.deepEqual(
    lines.map(({ action, name, by }) => [action, name, by]),
    [
      ["set", "key", "command line"],
      ["read", "key", "mcp github"],
      ["renewed", "key", "oauth"],
      ["removed", "key", "page"],
    ],
  );
  assert(!audit.includes("v4lue"));
});

test("a file put in another's place, of the same or another tenant, is refused and told", async (t) => {
  const dir = folder(t);
  const [mine, theirs] = [await open(dir), await open(dir, { tenantId: "other" })];
  await mine.set("first", "1", "test");
  await theirs.set("first", "2", "test");
  copyFileSync(join(dir, "secrets/other/first.age"), join(dir, "secrets/owner/first.age"));
  await assert.rejects(mine.find("first", "test"), { code: "unreadable" });
  await mine.set("second", "3", "test");
  copyFileSync(join(dir, "secrets/owner/second.age"), join(dir, "secrets/owner/first.age"));
  await assert.rejects(mine.find("first", "test"), { code: "unreadable" });
  assert.match(readFileSync(join(dir, "secrets/audit.jsonl"), "utf8"), /"action":"refused","name":"first"/u);
});

test("no changed bit and no cut passes for a secret", async (t) => {
  const dir = folder(t);
  const secrets = await open(dir);
  await secrets.set("key", "value", "test");
  const path = join(dir, "secrets/owner/key.age");
  const whole = readFileSync(path);
  // One in seven bytes: the header, its stanzas, the tag and the body are all met.
  for (let at = 0; at < whole.length; at += 7) {
    const bent = Buffer.from(whole);
    bent.writeUInt8(bent.readUInt8(at) ^ 1, at);
    writeFileSync(path, bent);
    await assert.rejects(secrets.find("key", "test"), { name: "NikaError", code: "unreadable" }, `bit ${at}`);
    writeFileSync(path, whole.subarray(0, at));
    await assert.rejects(secrets.find("key", "test"), { code: "unreadable" }, `cut at ${at}`);
  }
});

test("renewals at the same time are one, and whoever asked gets what it brought", async (t) => {
  const secrets = await open(folder(t));
  await secrets.set("token", "0", "test");
  let count = 0;
  const renew = async (value: string): Promise<string> => {
    count += 1;
    return String(Number(value) + 1);
  };
  assert.deepEqual(await Promise.all([1, 2, 3].map(() => secrets.renew("token", renew, "oauth"))), ["1", "1", "1"]);
  assert.equal(count, 1);
  assert.equal(await secrets.renew("token", renew, "oauth"), "2");
});

test("a renewal that fails leaves the old value, and the next one is tried", async (t) => {
  const secrets = await open(folder(t));
  await secrets.set("token", "old", "test");
  await assert.rejects(
    secrets.renew("token", () => Promise.reject(new Error("no network")), "oauth"),
    /no network/u,
  );
  assert.equal(await secrets.find("token", "test"), "old");
  assert.equal(await secrets.renew("token", async () => "new", "oauth"), "new");
});

test("the recovery key is shown until it is kept elsewhere, and opens the secrets where the machine's keys are lost", async (t) => {
  const dir = folder(t);
  const secrets = await open(dir);
  await secrets.set("key", "value", "test");
  const { identity } = await secrets.recovery();
  assert(identity !== undefined);
  secrets.keepRecovery("test");
  assert.equal((await secrets.recovery()).identity, undefined);
  assert(!files(dir).some(([, bytes]) => bytes.includes(identity)));

  rmSync(join(dir, "keys"), { recursive: true });
  const elsewhere = await open(dir);
  await assert.rejects(elsewhere.find("key", "test"), { code: "unreadable" });
  await assert.rejects(elsewhere.recover("AGE-SECRET-KEY-1NONSENSE", "test"), { code: "unreadable" });
  await assert.rejects(elsewhere.recover("nonsense", "test"), { code: "invalid" });
  assert.equal(await elsewhere.recover(identity, "test"), 1);
  assert.equal(await elsewhere.find("key", "test"), "value");
  assert.equal((await elsewhere.recovery()).identity, undefined, "the key that opened them stays the recovery key");
});

test("a new recovery key opens what is there, and the old one no longer does", async (t) => {
  const dir = folder(t);
  const secrets = await open(dir);
  await secrets.set("key", "value", "test");
  const before = (await secrets.recovery()).identity!;
  await secrets.renewRecovery("test");
  const after = (await secrets.recovery()).identity!;
  assert.notEqual(after, before);
  rmSync(join(dir, "keys"), { recursive: true });
  const elsewhere = await open(dir);
  await assert.rejects(elsewhere.recover(before, "test"), { code: "unreadable" });
  assert.equal(await elsewhere.recover(after, "test"), 1);
});

test("a new tenant key opens everything, and the old one stays for backups", async (t) => {
  const dir = folder(t);
  const secrets = await open(dir);
  await secrets.set("first", "1", "test");
  await secrets.set("second", "2", "test");
  const setAt = (await secrets.list()).map((secret) => secret.setAt);
  const backup = join(dir, "backup.age");
  copyFileSync(join(dir, "secrets/owner/first.age"), backup);
  assert.equal(await secrets.rekey("test"), 2);
  assert.equal(await secrets.find("first", "test"), "1");
  assert.deepEqual(
    (await secrets.list()).map((secret) => secret.setAt),
    setAt,
    "encrypting again is not setting again",
  );
  copyFileSync(backup, join(dir, "secrets/owner/first.age"));
  assert.equal(await (await open(dir)).find("first", "test"), "1");
});

test("a change of keys that a crash cut short is finished at the next start", async (t) => {
  for (const isHalfRenamed of [false, true]) {
    const dir = folder(t);
    const secrets = await open(dir);
    await secrets.set("key", "value", "test");
    const { identity } = await secrets.recovery();
    await secrets.rekey("test");
    // As a crash leaves it: the next key is there and the last rename was not made.
    renameSync(join(dir, "keys/tenant.key"), join(dir, "keys/tenant.next.key"));
    if (!isHalfRenamed) renameSync(join(dir, "keys/tenant-1.key"), join(dir, "keys/tenant.key"));
    const again = await open(dir);
    assert(!existsSync(join(dir, "keys/tenant.next.key")));
    assert.equal(await again.find("key", "test"), "value");
    assert.equal((await again.recovery()).identity, identity, "the recovery key still waits to be written down");
  }
});

test("a tenant key of the service manager's is used and never written", async (t) => {
  const dir = folder(t);
  const key = join(dir, "credential");
  await (await open(dir)).set("key", "value", "test");
  renameSync(join(dir, "keys/tenant.key"), key);
  const secrets = await open(dir, { tenantKeyFile: key });
  assert.equal(await secrets.find("key", "test"), "value");
  assert(!existsSync(join(dir, "keys/tenant.key")));
  await assert.rejects(secrets.rekey("test"), { code: "conflict" });
});

test("what cannot be a name or a value is refused in a sentence", async (t) => {
  const secrets = await open(folder(t));
  for (const name of ["", "../key", "a/b", "-rf", "9lives", "a".repeat(65), "é"])
    await assert.rejects(secrets.set(name, "value", "test"), { code: "invalid" }, name);
  await assert.rejects(secrets.set("key", "", "test"), { code: "invalid" });
  await assert.rejects(secrets.set("key", "x".repeat(49 * 1024), "test"), { code: "invalid" });
  await secrets.set("Key", "value", "test");
  await assert.rejects(secrets.set("KEY", "value", "test"), { code: "conflict" });
  assert.equal(await secrets.find("../../keys/tenant", "test"), undefined);
});

test("a key handed over as a file becomes a secret, and the file goes", async (t) => {
  const dir = folder(t);
  const secrets = await open(dir);
  await secrets.set("vision", "old", "test");
  writeFileSync(join(dir, "keys/vision.key"), "s3cret\n");
  const log: string[] = [];
  await adoptServiceKeys(dir, secrets, (line) => log.push(line));
  assert.equal(await secrets.find("vision", "test"), "s3cret");
  assert(!existsSync(join(dir, "keys/vision.key")));
  assert.equal(log.length, 1);
  assert(!log[0]!.includes("s3cret"));
});

const hasAge = spawnSync("age", ["--version"]).status === 0;
test(
  "the owner opens a secret with the distribution's own age, and the recovery key",
  { skip: !hasAge && "age is not installed" },
  async (t) => {
    const dir = folder(t);
    const secrets = await open(dir);
    await secrets.set("key", "välue\n", "test");
    const path = join(dir, "secrets/owner/key.age");
    writeFileSync(join(dir, "sheet"), `${(await secrets.recovery()).identity}\n`);
    for (const identity of [join(dir, "keys/tenant.key"), join(dir, "sheet")]) {
      const content = JSON.parse(execFileSync("age", ["-d", "-i", identity, path], { encoding: "utf8" })) as { value: string };
      assert.equal(content.value, "välue\n");
    }
  },
);
