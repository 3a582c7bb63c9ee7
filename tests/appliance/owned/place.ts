/** A data folder with functions in it, served over processes that stand in for sandboxes: no walls, the same streams. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { api } from "../../../convex/_generated/api.js";
import { NikaError } from "../../../convex/model/error.ts";
import type { FunctionView } from "../../../convex/model/userFunction.ts";
import type { Sandbox, SandboxEnd, Sandboxes, SandboxSpec } from "../../../functions/ports/sandboxes.ts";
import type { UserReply } from "../../../functions/ports/userFunctions.ts";
import { openOwned, type Owned } from "../../../appliance/owned/owned.ts";
import { openFakeState, type FakeState } from "../../fakes/state.ts";

export type Place = AsyncDisposable & {
  readonly dataDir: string;
  readonly state: FakeState;
  readonly owned: Owned;
  /** Writes a function: a file's text, or several by path. Undefined takes a file away. */
  readonly write: (name: string, files: string | Readonly<Record<string, string>>) => void;
  readonly call: (name: string, input?: unknown, options?: CallOptions) => Promise<UserReply>;
  /** Resolves once the function is as asked. */
  readonly until: (name: string, is: (f: FunctionView) => boolean) => Promise<FunctionView>;
  /** Everything that was opened, in order. */
  readonly opened: SandboxSpec[];
  readonly declared: Map<string, string>;
  readonly reopen: () => Promise<Owned>;
};
export type CallOptions = { readonly signal?: AbortSignal; readonly log?: (text: string) => void };
export type PlaceOptions = {
  /** Undefined: nothing here can hold a function in. */
  readonly sandboxes?: ((opened: SandboxSpec[], dataDir: string) => Sandboxes) | undefined;
  readonly memoryMiBMax?: number;
};

export async function openPlace(options: PlaceOptions = { sandboxes: processSandboxes }): Promise<Place> {
  const dataDir = mkdtempSync(join(tmpdir(), "nika-owned-"));
  const state = openFakeState();
  const opened: SandboxSpec[] = [];
  const declared = new Map<string, string>();
  const open = (): Promise<Owned> =>
    openOwned({
      dataDir,
      state,
      sandboxes: options.sandboxes?.(opened, dataDir),
      memoryMiBMax: options.memoryMiBMax ?? 4_096,
      async declare(name, phrase) {
        if (phrase === undefined) declared.delete(name);
        else declared.set(name, phrase);
        return undefined;
      },
      log: () => {},
    });
  let owned = await open();
  let calls = 0;
  return {
    dataDir,
    state,
    get owned() {
      return owned;
    },
    opened,
    declared,
    write(name, files) {
      const all = typeof files === "string" ? { [`${name}.ts`]: files } : files;
      for (const [path, text] of Object.entries(all)) {
        const to = join(dataDir, "functions", typeof files === "string" ? "" : name, path);
        mkdirSync(dirname(to), { recursive: true });
        writeFileSync(to, text);
      }
    },
    call: (name, input = null, { signal = new AbortController().signal, log = () => {} } = {}) =>
      owned.call({
        name,
        input: JSON.stringify(input),
        about: { id: `t${(calls += 1)}`, attempt: 1, trigger: "owner" },
        signal,
        onLog: log,
        onProgress: () => {},
      }),
    until: (name, is) =>
      new Promise((resolve, reject) => {
        const stop = state.owner.watch(
          api.functions.get,
          { name },
          (f) => {
            if (!f || !is(f)) return;
            queueMicrotask(() => stop());
            resolve(f);
          },
          reject,
        );
      }),
    async reopen() {
      await owned.close();
      owned = await open();
      return owned;
    },
    async [Symbol.asyncDispose]() {
      await owned.close();
      await state.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** What a reply gave back, parsed. */
export function outputOf(reply: UserReply): unknown {
  assert(reply.type === "done", JSON.stringify(reply));
  return JSON.parse(reply.output);
}

/** Programs of this machine with the paths of their mounts; paused by a signal, as an engine does it. */
export function processSandboxes(opened: SandboxSpec[]): Sandboxes {
  return {
    async open(spec) {
      opened.push(spec);
      const [program = "", ...rest] = spec.command;
      const places = spec.mounts.toSorted((a, b) => b.to.length - a.to.length);
      const args = rest.map((arg) => {
        const mount = places.find(({ to }) => arg === to || arg.startsWith(`${to}/`));
        return mount ? mount.from + arg.slice(mount.to.length) : arg;
      });
      const own = program.endsWith("node") ? process.execPath : "python3";
      const child = spawn(own, args, { env: { ...spec.environment }, stdio: ["pipe", "pipe", "pipe"] });
      let isStopped = false;
      const ended = new Promise<SandboxEnd>((resolve) => {
        child.once("close", (code) =>
          resolve(
            isStopped
              ? { code: undefined, reason: "stopped" }
              : { code: code ?? undefined, reason: code === null ? "lost" : "exit" },
          ),
        );
      });
      return {
        input: child.stdin,
        output: child.stdout,
        errors: child.stderr,
        ended,
        pause: async () => void child.kill("SIGSTOP"),
        resume: async () => void child.kill("SIGCONT"),
        async stop() {
          isStopped = true;
          child.kill("SIGKILL");
          await ended;
        },
      } satisfies Sandbox;
    },
    attestations: async () => [{ runtime: "runc", at: 0, isSufficient: true, probes: [] }],
    connections: () => () => {},
    reap: async () => 0,
  };
}

/** A machine without an engine. */
export const noSandboxes = (): Sandboxes => ({
  open: async () => {
    throw new NikaError("unavailable", "No Docker engine answers on this machine.");
  },
  attestations: async () => [],
  connections: () => () => {},
  reap: async () => 0,
});
