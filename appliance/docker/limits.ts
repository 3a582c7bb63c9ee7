/** A sandbox in the engine's words: everything is refused that was not said, twice where the runtime may forget once. */
import type Docker from "dockerode";
import { NikaError } from "../../convex/model/error.ts";
import type { Attestation, SandboxSpec } from "../../functions/ports/sandboxes.ts";
import { deadDns, firstUser } from "./image.ts";
import { seccompProfile } from "./seccomp.ts";

export type Runtime = Attestation["runtime"];

export type Start = {
  readonly spec: SandboxSpec;
  readonly image: string;
  readonly mounts: Docker.MountSettings[];
  /** The engine's name for the runtime. */
  readonly runtimeName: string;
  readonly runtime: Runtime;
  /** Which of the sandboxes' users it runs as. */
  readonly user: number;
  readonly labels: Readonly<Record<string, string>>;
};

/** Of the pipe to the gate: a Node of its own inside, paid for beside what the program may have. */
const relay = { memoryBytes: 96 << 20, processes: 16 };
/** gVisor's kernel is a program of the host and counts as such. */
const guestKernel = { memoryBytes: 64 << 20, processes: 512 };
export const openFilesMax = 1024;
const proxy = "http://127.0.0.1:3128";

/** Hidden beside what the engine hides: what tells of this machine and what runs on it. */
const maskedPaths = [
  ..."/proc/asound /proc/acpi /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list /proc/timer_stats /proc/sched_debug".split(
    " ",
  ),
  ..."/proc/scsi /sys/firmware /sys/devices/virtual/powercap /proc/cmdline /proc/interrupts /proc/kallsyms /proc/modules".split(
    " ",
  ),
  ..."/proc/diskstats /proc/partitions /proc/vmallocinfo /proc/iomem /proc/ioports /proc/key-users /proc/config.gz".split(" "),
];
const readonlyPaths = "/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger".split(" ");

export function checkSpec(spec: SandboxSpec): void {
  const wrong = (what: string): never => {
    throw new NikaError("invalid", `The sandbox ${spec.name} cannot be made: ${what}.`);
  };
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,120}$/.test(spec.name)) wrong("its name may hold only letters, digits, “_”, “.” and “-”");
  if (spec.command.length === 0 || !spec.command[0]) wrong("it has no command");
  if (spec.command.some((word) => word.includes("\0"))) wrong("its command holds a zero byte");
  for (const [key, value] of Object.entries({ ...spec.environment, ...spec.secrets }))
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(key) || value.includes("\0")) wrong(`"${key}" cannot be a variable`);
  if (!(spec.memoryBytes >= 16 << 20)) wrong("it needs at least 16 MiB of memory");
  if (!(spec.cpus >= 0.01)) wrong("it needs at least 0.01 of a processor");
  if (!(Number.isInteger(spec.processesMax) && spec.processesMax >= 1)) wrong("it needs at least one process");
  if (spec.storage && !(spec.storage.bytesMax >= 1 << 20)) wrong("its storage needs at least 1 MiB");
  if (!(spec.tmpBytes >= 0)) wrong("its /tmp cannot be smaller than nothing");
  if (spec.timeLimitMs !== undefined && !(spec.timeLimitMs > 0)) wrong("its time limit must be positive");
}

/** Whether the program waits for a line with them. */
export const hasSecrets = ({ secrets = {} }: SandboxSpec): boolean => Object.keys(secrets).length > 0;

/** A program of ours that becomes the one behind it. */
const becoming = (name: string): string[] => ["/usr/local/bin/node", "--disable-warning=ExperimentalWarning", `/nika/${name}`];

export function toCreateOptions({
  spec,
  image,
  mounts,
  runtimeName,
  runtime,
  user,
  labels,
}: Start): Docker.ContainerCreateOptions {
  const hasEgress = spec.egress.length > 0;
  const command = hasSecrets(spec) ? [...becoming("enter.ts"), ...spec.command] : [...spec.command];
  const isGuestKernel = runtime === "gvisor";
  const memory = spec.memoryBytes + (hasEgress ? relay.memoryBytes : 0) + (isGuestKernel ? guestKernel.memoryBytes : 0);
  const processes = spec.processesMax + 1 + (hasEgress ? relay.processes : 0) + (isGuestKernel ? guestKernel.processes : 0);
  const tmpBytes = Math.max(spec.tmpBytes, 4096);
  return {
    name: spec.name,
    Image: image,
    // With a way out the program starts when the way is open.
    Cmd: hasEgress ? [...becoming("wait.ts"), ...command] : command,
    Env: toEnv({
      PATH: "/usr/local/bin",
      HOME: "/tmp",
      TMPDIR: "/tmp",
      LANG: "C.UTF-8",
      ...spec.environment,
      ...(hasEgress && {
        NODE_USE_ENV_PROXY: "1",
        HTTP_PROXY: proxy,
        HTTPS_PROXY: proxy,
        http_proxy: proxy,
        https_proxy: proxy,
        NO_PROXY: "",
        no_proxy: "",
      }),
    }),
    WorkingDir: "/tmp",
    User: `${user}:${user}`,
    Hostname: "sandbox",
    Labels: { ...labels },
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    OpenStdin: true,
    StdinOnce: true,
    Tty: false,
    NetworkDisabled: true,
    HostConfig: hostConfig({
      Runtime: runtimeName,
      AutoRemove: true,
      Init: true,
      ReadonlyRootfs: true,
      NetworkMode: "none",
      Dns: [deadDns],
      DnsOptions: ["timeout:1", "attempts:1"],
      IpcMode: "none",
      PidMode: "",
      CgroupnsMode: "private",
      Privileged: false,
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges:true", `seccomp=${seccompProfile()}`],
      MaskedPaths: maskedPaths,
      ReadonlyPaths: readonlyPaths,
      Memory: memory,
      // The same number: no swap.
      MemorySwap: memory,
      NanoCpus: Math.round(spec.cpus * 1e9),
      PidsLimit: processes,
      // When the machine itself runs out of memory, this goes first.
      OomScoreAdj: 1000,
      Tmpfs: { "/tmp": `rw,noexec,nosuid,nodev,size=${tmpBytes},nr_inodes=16384,mode=1777` },
      Mounts: mounts,
      Ulimits: [
        ulimit("nofile", openFilesMax),
        ulimit("core", 0),
        ulimit("fsize", Math.max(tmpBytes, spec.storage?.bytesMax ?? 0)),
        ulimit("msgqueue", 0),
        ulimit("memlock", 64 << 10),
        // The engine's limit on processes counts the host's, of which a kernel in between has its own number: there, the limit on a
        // user's processes is what counts, kept by that kernel.
        ...(isGuestKernel ? [ulimit("nproc", spec.processesMax + 1)] : []),
      ],
      // What it writes goes to whoever opened it and nowhere else, so that it cannot fill the disk.
      LogConfig: { Type: "none", Config: {} },
    }),
  };
}

/** The client's types are behind the engine's words. */
const hostConfig = (config: Docker.HostConfig & { readonly CgroupnsMode: string }): Docker.HostConfig => config;

/** A user that no other sandbox of this process has. */
export function openUsers(count: number): { take(): number; give(user: number): void } {
  const inUse = new Set<number>();
  return {
    take() {
      if (inUse.size >= count) throw new NikaError("full", `More than ${count} sandboxes cannot run at a time; stop some.`);
      // From a place of chance: another Nika on this machine takes from the same ones.
      for (let n = Math.floor(Math.random() * count); ; n = (n + 1) % count)
        if (!inUse.has(firstUser + n)) {
          inUse.add(firstUser + n);
          return firstUser + n;
        }
    },
    give: (user) => void inUse.delete(user),
  };
}

const toEnv = (variables: Readonly<Record<string, string>>): string[] =>
  Object.entries(variables).map(([key, value]) => `${key}=${value}`);

const ulimit = (name: string, most: number) => ({ Name: name, Soft: most, Hard: most });
