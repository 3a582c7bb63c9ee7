import type { Readable, Writable } from "node:stream";

/** What holds the code in. `auto`: the strongest on this machine that was attested to be sufficient. */
export type SandboxRuntime = "auto" | "runc" | "gvisor" | "kata";

/** One program nobody trusts, and all that it may have. What is not said here it does not have: no network, no device, no host file. */
export type SandboxSpec = {
  /** Unique on this machine; shown in `docker ps`. Letters, digits, `_`, `.` and `-`. */
  readonly name: string;
  /** Which image, made of this machine's own binaries: `node` at /usr/local/bin/node, `python3` at /usr/local/bin/python3. */
  readonly language: "node" | "python";
  readonly runtime: SandboxRuntime;
  /** Its argument vector; never given to a shell. The working directory is /tmp, which is empty, small, and runs no programs. */
  readonly command: readonly string[];
  /** Never a secret: it stands in the engine's description of the sandbox. */
  readonly environment: Readonly<Record<string, string>>;
  /** More variables, which only the program gets: handed in over its standard input before it begins. Whatever runs inside can read them. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** Folders or files of this machine, read-only always. `from` is absolute; links on its way are resolved before it is looked at. */
  readonly mounts: readonly { readonly from: string; readonly to: string }[];
  /**
   * A folder of the appliance's own that it may write to, at /data, and where the next life of it finds what it wrote. It is weighed every second: with
   * more than `bytesMax` in it the sandbox ends, so for a moment it can hold more.
   */
  readonly storage?: { readonly from: string; readonly bytesMax: number };
  /** Exact `host:port`; empty = none. Travels over a pipe of the engine, so that the sandbox never has a network. */
  readonly egress: readonly string[];
  readonly memoryBytes: number;
  /** Of one processor; 0.5 is half of one. */
  readonly cpus: number;
  /** Processes and threads together; Node alone takes about a dozen. */
  readonly processesMax: number;
  /** What /tmp holds. Counts as memory where the runtime keeps it there. */
  readonly tmpBytes: number;
  /** Life of the whole sandbox from its start; absent = until stopped. */
  readonly timeLimitMs?: number;
};

/** Why it ended: by itself, for want of memory or of room in its storage, at its time limit, by `stop`, or without our knowing (engine gone, killed by others). */
export type SandboxEnd = {
  /** Of the program; undefined when nobody can say. */
  readonly code: number | undefined;
  readonly reason: "exit" | "memory" | "storage" | "time" | "stopped" | "lost";
};

/** A program running in its sandbox. */
export type Sandbox = {
  /** Its stdin; ending it is seen inside as the end of input. */
  readonly input: Writable;
  /** Its stdout, with back pressure: what nobody reads, it cannot go on writing. */
  readonly output: Readable;
  /** Its stderr, bounded: beyond the bound it is thrown away, and a line says so. It need not be read. */
  readonly errors: Readable;
  /** Never rejects. After it, nothing of the sandbox is left on the machine. */
  readonly ended: Promise<SandboxEnd>;
  /** Freezes it where it is: it keeps its memory and uses no processor. Its time limit goes on. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Ends it now, paused or not; one that has ended is no error. Resolves when it is gone. */
  stop(): Promise<void>;
};

/** What one runtime was seen to enforce, found out by trying from inside. */
export type Attestation = {
  readonly runtime: Exclude<SandboxRuntime, "auto">;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Whether untrusted code may run under it, by itself or with the compensations that the probes name. */
  readonly isSufficient: boolean;
  readonly probes: readonly { readonly name: string; readonly holds: boolean; readonly detail: string }[];
};

/** One connection that a sandbox asked for, told when it is over or was refused. */
export type SandboxConnection = {
  /** Name of the sandbox. */
  readonly sandbox: string;
  /** `host:port` as it was asked for. */
  readonly to: string;
  readonly allowed: boolean;
  /** Why it was refused or cut; absent when it simply ended. */
  readonly reason?: string;
  /** Towards the sandbox. */
  readonly bytesIn: number;
  /** Away from the sandbox. */
  readonly bytesOut: number;
  /** When it was asked for, in milliseconds since 1970. */
  readonly at: number;
};

/** Sandboxes on this machine, for code that nobody trusts. */
export type Sandboxes = {
  /**
   * Starts one; resolves when the program was started. The signal ends only the opening.
   *
   * Fails with `unavailable` (no container engine, or it does not have the runtime), `denied` (a mount outside what may be mounted,
   * or a limit that the runtime was not seen to enforce), `conflict` (the name is taken), `invalid` (the spec makes no sense),
   * `missing` (the language is not on this machine).
   */
  open(spec: SandboxSpec, signal: AbortSignal): Promise<Sandbox>;
  /** Of every runtime the engine has. Cached; probes on first use and when engine, runtime or our own way of starting changed. */
  attestations(): Promise<readonly Attestation[]>;
  /** Tells of every connection, allowed or refused. Returns how to stop listening. */
  connections(listener: (connection: SandboxConnection) => void): () => void;
  /** Removes containers of ours that an earlier life of this data folder left, and says how many. */
  reap(): Promise<number>;
};
