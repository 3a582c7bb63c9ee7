/**
 * Rented machines for drills: containers with an SSH server and a few small programs of this machine's, and neither Node nor Nika, that run what
 * they were given to boot with. Each has a network of its own with one cable to this machine, at whose other end nobody listens.
 */
import { execFile } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const image = "nika-drill-vm";
const programs =
  "sh cat chmod cp cut curl date df env find grep gzip head id kill ln ls mkdir mktemp mv nproc rm sed sleep sort stat tail tar timeout touch tr true uname setsid ssh-keygen sshd".split(
    " ",
  );
const places = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** As a system does on its first start: a key of its own, a server for SSH, then what it was given. */
const init = `#!/bin/sh
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
/usr/sbin/sshd
sh /boot.sh &
while :; do sleep 1; done
`;
const sshdConfig = `HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
PidFile /run/sshd.pid
`;

/** Why there can be none here; undefined when there can. */
export async function vmProblem(): Promise<string | undefined> {
  const lacking = [...programs, "ip", "nsenter", "ldd", "docker"].filter((name) => find(name) === undefined);
  if (process.getuid?.() !== 0) return "cables to containers are laid by root alone";
  if (lacking.length > 0) return `this machine has no ${lacking.join(", ")}`;
  return run("docker", ["info"]).then(
    () => undefined,
    () => "no Docker engine answers",
  );
}

/** Makes what they start from. */
export async function buildVm(): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "nika-vm-"));
  const put = (to: string, from: string): void => {
    const at = join(root, to);
    if (existsSync(at)) return;
    mkdirSync(dirname(at), { recursive: true });
    copyFileSync(realpathSync(from), at);
    chmodSync(at, 0o755);
  };
  try {
    for (const name of programs) {
      const from = find(name) ?? "";
      put(name === "sshd" ? "/usr/sbin/sshd" : `/bin/${name}`, from);
      const { stdout } = await run("ldd", [from]);
      for (const [, library = ""] of stdout.matchAll(/(\/\S+) \(0x/gu)) put(library, library);
    }
    // Every system with the C library has all of it.
    const { stdout: shell } = await run("ldd", [find("sh") ?? ""]);
    const [, libc = ""] = /(\/\S+\/libc\.so\.6) /u.exec(shell) ?? [];
    for (const name of ["libdl.so.2", "libm.so.6", "libpthread.so.0", "librt.so.1", "libresolv.so.2", "libutil.so.1"])
      put(join(dirname(libc), name), join(dirname(libc), name));
    for (const dir of ["etc/ssh", "root", "run/sshd", "tmp", "var/lib", "proc", "sys", "dev"])
      mkdirSync(join(root, dir), { recursive: true });
    writeFileSync(
      join(root, "etc/passwd"),
      "root:x:0:0:root:/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/bin/false\nnobody:x:65534:65534::/:/bin/false\n",
    );
    writeFileSync(join(root, "etc/group"), "root:x:0:\nnogroup:x:65534:\n");
    writeFileSync(join(root, "etc/ssh/sshd_config"), sshdConfig);
    writeFileSync(join(root, "init"), init, { mode: 0o755 });
    chmodSync(join(root, "root"), 0o700);
    await run("sh", ["-c", `tar -C '${root}' --owner=0 --group=0 -cf - . | docker import - ${image}:latest`]);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

export type Vm = { readonly address: string; end(): Promise<void>; processes(): Promise<string> };

/** Boots one with what it is given to boot with. */
export async function startVm(name: string, boot: string): Promise<Vm> {
  const dir = mkdtempSync(join(tmpdir(), "nika-vm-"));
  try {
    writeFileSync(join(dir, "boot.sh"), boot, { mode: 0o600 });
    const how = ["--init", "--network", "none", "--name", name, "--hostname", name];
    await run("docker", ["create", ...how, `${image}:latest`, "/init"]);
    await run("docker", ["cp", join(dir, "boot.sh"), `${name}:/boot.sh`]);
    await run("docker", ["start", name]);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  return {
    address: await connect(name),
    end: async () => void (await run("docker", ["rm", "-f", name]).catch(() => undefined)),
    processes: async () => (await run("docker", ["top", name, "-o", "pid,args"])).stdout,
  };
}

let cables = 0;
/** Between this machine and that one; its address. The cable goes with the machine. */
async function connect(name: string): Promise<string> {
  const { stdout } = await run("docker", ["inspect", "-f", "{{.State.Pid}}", name]);
  const there = stdout.trim();
  const net = `10.231.${process.pid % 250}.${4 * cables++}`.split(".");
  const at = (host: number): string => [...net.slice(0, 3), Number(net[3]) + host].join(".");
  const [near, far] = [`nk${process.pid}n${cables}`, `nk${process.pid}f${cables}`];
  const ip = (...words: readonly string[]) => run("ip", words);
  await ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", there);
  await ip("addr", "add", `${at(1)}/30`, "dev", near);
  await ip("link", "set", near, "up");
  const inside = (...words: readonly string[]) => run("nsenter", ["-t", there, "-n", "ip", ...words]);
  await inside("addr", "add", `${at(2)}/30`, "dev", far);
  await inside("link", "set", far, "up");
  await inside("link", "set", "lo", "up");
  return at(2);
}

function find(name: string): string | undefined {
  return places.map((place) => join(place, name)).find((path) => existsSync(path));
}
