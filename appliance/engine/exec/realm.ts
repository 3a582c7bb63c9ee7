/** A vm context with the app's bundle in it and nothing of ours within its reach. Not a security border; see README.md. */
import { createHash } from "node:crypto";
import vm from "node:vm";
import { bootstrap, type Bridge, type Host } from "./bootstrap.ts";
import { logLine } from "./logLine.ts";
import { bundleName, type StackMapper } from "./stackMap.ts";

export type RealmCalls = {
  /** Answers a syscall as `Host.call` says. */
  readonly call: (op: string, args: string) => string;
  readonly log: (line: string) => void;
  readonly origin: string;
  /** A variable is read; null stands for the list of them. */
  readonly noteEnv: (name: string | null) => void;
};

export type Realm = {
  readonly bridge: Bridge;
  /** Runs what is ready to run in the realm. */
  readonly drain: () => void;
  /** Variables that its modules looked at while they loaded: every run depends on them. */
  readonly loadedEnv: ReadonlySet<string | null>;
  /** Who hears the realm. Set before each run. */
  calls: RealmCalls;
};

const bootScript = new vm.Script(`(${bootstrap.toString()})`, { filename: "nika:bootstrap" });
// With its own microtask queue, a context works off its promises whenever a script in it ends: this is that script.
const drainScript = new vm.Script("0", { filename: "nika:drain" });

export function compileBundle(source: string): vm.Script {
  return new vm.Script(source, { filename: bundleName });
}

export type RealmOptions = {
  readonly bundle: vm.Script;
  readonly env: Readonly<Record<string, string>>;
  readonly mapStack: StackMapper;
};

export function openRealm({ bundle, env, mapStack }: RealmOptions): Realm {
  const context = vm.createContext(vm.constants.DONT_CONTEXTIFY, {
    microtaskMode: "afterEvaluate",
    codeGeneration: { strings: false, wasm: true },
  });
  const silent: RealmCalls = {
    call: () => "!There is nothing to call while a module loads.",
    log: () => {},
    origin: "",
    noteEnv: () => {},
  };
  const loadedEnv = new Set<string | null>();
  const host: Host = {
    call: (op, args) => realm.calls.call(op, args),
    log: (level, args) => realm.calls.log(logLine(level, args, mapStack)),
    digest: (algorithm, bytes) => createHash(algorithm.replace("-", "").toLowerCase()).update(bytes).digest(),
    encode: (text) => Buffer.from(text, "utf8"),
    decode: (label, options, bytes) => new TextDecoder(label, options).decode(bytes),
    webClass: (name) => (globalThis as unknown as Record<string, unknown>)[name],
    env,
    noteEnv: (name, isLoading) => {
      if (isLoading) loadedEnv.add(name);
      else realm.calls.noteEnv(name);
    },
    origin: () => realm.calls.origin,
  };
  const start = bootScript.runInContext(context) as (host: Host) => Bridge;
  const realm: Realm = {
    bridge: start(host),
    drain: () => void drainScript.runInContext(context),
    loadedEnv,
    calls: silent,
  };
  realm.bridge.prepare(0);
  realm.bridge.seed(1, 2, 3, 4);
  bundle.runInContext(context);
  return realm;
}
