/**
 * The first code of a realm. It is sent there as text, so it may use nothing but its parameter and the language itself, and everything
 * it keeps lives in its closure, out of the app's reach. Strings and numbers are all that crosses the border, in either direction.
 */

/** What the realm asks of its thread. Answers begin with one letter: "=" a value, "!" a message, "?" JSON of [message, data]. */
export type Host = {
  readonly call: (op: string, args: string) => string;
  readonly log: (level: string, args: readonly unknown[]) => void;
  readonly digest: (algorithm: string, bytes: Uint8Array) => Uint8Array;
  readonly encode: (text: string) => Uint8Array;
  readonly decode: (label: string, options: object | undefined, bytes: Uint8Array) => string;
  /** A web class of Node's, fetched when first used, because loading some of them is dear. */
  readonly webClass: (name: string) => unknown;
  readonly env: Readonly<Record<string, string>>;
  /** A variable is being read, or, with null, which ones there are; while a module loads, that counts for all who use the realm. */
  readonly noteEnv: (name: string | null, isLoading: boolean) => void;
  /** Known only once the appliance listens. */
  readonly origin: () => string;
};

/** What the thread asks of the realm. */
export type Bridge = {
  /** Before each run. */
  readonly prepare: (nowMs: number) => void;
  /** After `prepare`: the numbers that its chance grows from. */
  readonly seed: (w: number, x: number, y: number, z: number) => void;
  /** Starts a function; nested ones stack. */
  readonly start: (module: string, name: string, invoke: string, args: string) => void;
  /** Operation and arguments of the oldest waiting syscall of the running function; undefined when none waits. */
  readonly nextOp: () => string | undefined;
  readonly nextArgs: () => string;
  /** Answers it. */
  readonly settle: (answer: string) => void;
  /** "" while running; "=" and the result; "!" and JSON of {name, message, stack, data}. */
  readonly outcome: () => string;
  readonly finish: () => void;
  readonly usedTime: () => boolean;
};

/* oxlint-disable no-global-assign, no-extend-native -- a realm's own globals are what this is about */
export function bootstrap(host: Host): Bridge {
  type Waiting = { op: string; args: string; resolve: (text: string) => void; reject: (error: unknown) => void };
  type Frame = { readonly waiting: Waiting[]; outcome: string };
  const realm = globalThis as unknown as Record<string, unknown>;
  const frames: Frame[] = [];
  type Exports = Record<string, Record<string, unknown>>;
  const loaded = new Map<string, Exports>();
  let isLoading = false;
  /** Asked of the bundle once: it makes a new object of all exports each time. */
  const exportsOf = (module: string): Exports | undefined => {
    let exports = loaded.get(module);
    if (!exports) {
      isLoading = true;
      try {
        exports = (realm["__modules"] as Record<string, () => Exports>)[module]?.();
      } finally {
        isLoading = false;
      }
      if (exports) loaded.set(module, exports);
    }
    return exports;
  };
  let frame: Frame = { waiting: [], outcome: "" };
  let nowMs = 0;
  let usedTime = false;
  let a = 1;
  let b = 2;
  let c = 3;
  let d = 4;

  const define = (name: string, value: unknown) =>
    Object.defineProperty(realm, name, { value, writable: true, configurable: true, enumerable: false });

  const toError = (answer: string): Error => {
    if (answer[0] === "!") return new Error(answer.slice(1));
    const [message, data] = JSON.parse(answer.slice(1)) as [string, unknown];
    return Object.assign(new Error(message), { data });
  };
  const unwrap = (answer: string): string => {
    if (answer[0] === "=") return answer.slice(1);
    throw toError(answer);
  };

  define("Convex", {
    syscall: (op: string, args: string) => unwrap(host.call(op, args)),
    asyncSyscall: (op: string, args: string) => {
      // In order of asking: once one has to wait for the thread, those behind it wait too.
      if (op === "1.0/runUdf" || frame.waiting.length > 0)
        return new Promise((resolve, reject) => void frame.waiting.push({ op, args, resolve, reject }));
      const answer = host.call(op, args);
      return answer[0] === "=" ? Promise.resolve(answer.slice(1)) : Promise.reject(toError(answer));
    },
    jsSyscall: (op: string) => {
      throw new Error(`Unknown operation ${op}`);
    },
  });

  // The engine's own frames stand between those of the app and count too.
  (Error as unknown as { stackTraceLimit: number }).stackTraceLimit = 32;

  // Time stands still during a run.
  const RealDate = Date;
  const now = (): number => {
    usedTime = true;
    return nowMs;
  };
  const FrozenDate = function (this: unknown, ...parts: unknown[]): unknown {
    if (!new.target) return new RealDate(now()).toString();
    return Reflect.construct(RealDate, parts.length === 0 ? [now()] : parts, new.target);
  };
  Object.defineProperties(FrozenDate, {
    prototype: { value: RealDate.prototype, writable: false },
    name: { value: "Date" },
    length: { value: 7 },
    now: { value: now, writable: true, configurable: true },
    parse: { value: RealDate.parse, writable: true, configurable: true },
    UTC: { value: RealDate.UTC, writable: true, configurable: true },
  });
  Object.defineProperty(RealDate.prototype, "constructor", { value: FrozenDate, writable: true, configurable: true });
  define("Date", FrozenDate);
  define("performance", { now, timeOrigin: 0 });

  // sfc32, seeded anew for each run.
  Math.random = () => {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return (t >>> 0) / 4294967296;
  };

  const log =
    (level: string) =>
    (...args: unknown[]) =>
      host.log(level, args);
  const timers = new Set<string>();
  const counts = new Map<string, number>();
  define("console", {
    log: log("LOG"),
    info: log("INFO"),
    warn: log("WARN"),
    error: log("ERROR"),
    debug: log("DEBUG"),
    trace: log("LOG"),
    dir: (value: unknown) => host.log("LOG", [value]),
    assert: (condition: unknown, ...args: unknown[]) => {
      if (!condition) host.log("ERROR", ["Assertion failed", ...args]);
    },
    // The clock stands still, so what is measured took no time.
    time: (label = "default") => {
      if (timers.has(label)) host.log("WARN", [`Timer '${label}' already exists`]);
      timers.add(label);
    },
    timeLog: (label = "default", ...args: unknown[]) => {
      if (timers.has(label)) host.log("LOG", [`${label}: 0ms`, ...args]);
      else host.log("WARN", [`Timer '${label}' does not exist`]);
    },
    timeEnd: (label = "default") => {
      if (timers.delete(label)) host.log("LOG", [`${label}: 0ms`]);
      else host.log("WARN", [`Timer '${label}' does not exist`]);
    },
    count: (label = "default") => {
      counts.set(label, (counts.get(label) ?? 0) + 1);
      host.log("LOG", [`${label}: ${counts.get(label)}`]);
    },
    countReset: (label = "default") => void counts.delete(label),
    group: (...args: unknown[]) => {
      if (args.length > 0) host.log("LOG", args);
    },
    groupCollapsed: log("LOG"),
    groupEnd: () => {},
    table: log("LOG"),
  });

  const env = Object.assign(Object.create(null) as object, host.env);
  Object.defineProperty(env, "CONVEX_CLOUD_URL", { get: () => host.origin(), enumerable: true });
  Object.defineProperty(env, "CONVEX_SITE_URL", { get: () => `${host.origin()}/http`, enumerable: true });
  const noted = new Proxy(env, {
    get: (target, name) => {
      if (typeof name === "string") host.noteEnv(name, isLoading);
      return Reflect.get(target, name) as unknown;
    },
    has: (target, name) => {
      if (typeof name === "string") host.noteEnv(name, isLoading);
      return Reflect.has(target, name);
    },
    ownKeys: (target) => {
      host.noteEnv(null, isLoading);
      return Reflect.ownKeys(target);
    },
  });
  define("process", { env: noted });
  define("global", realm);
  define("self", realm);

  const forbidden = (what: string) => () => {
    throw new Error(
      `Can't use ${what} in queries and mutations. Please consider using an action. See https://docs.convex.dev/functions/actions for more details.`,
    );
  };
  for (const name of ["fetch", "setTimeout", "setInterval", "setImmediate"]) define(name, forbidden(`${name}()`));
  for (const name of ["clearTimeout", "clearInterval", "clearImmediate"]) define(name, () => {});
  define("queueMicrotask", (callback: () => void) => void Promise.resolve().then(callback));

  const toBytes = (input: ArrayBuffer | ArrayBufferView): Uint8Array =>
    ArrayBuffer.isView(input) ? new Uint8Array(input.buffer, input.byteOffset, input.byteLength) : new Uint8Array(input);
  const unsupported = (what: string) => () => Promise.reject(new Error(`${what} is not supported in queries and mutations.`));
  define("crypto", {
    getRandomValues: forbidden("crypto.getRandomValues()"),
    randomUUID: forbidden("crypto.randomUUID()"),
    subtle: {
      digest: async (algorithm: string | { name: string }, data: ArrayBuffer | ArrayBufferView) =>
        new Uint8Array(host.digest(typeof algorithm === "string" ? algorithm : algorithm.name, toBytes(data))).buffer,
      generateKey: forbidden("crypto.subtle.generateKey()"),
      sign: unsupported("crypto.subtle.sign()"),
      verify: unsupported("crypto.subtle.verify()"),
      importKey: unsupported("crypto.subtle.importKey()"),
      encrypt: unsupported("crypto.subtle.encrypt()"),
      decrypt: unsupported("crypto.subtle.decrypt()"),
    },
  });

  define(
    "TextEncoder",
    class TextEncoder {
      readonly encoding = "utf-8";
      encode(text = ""): Uint8Array {
        // A copy made here: the thread's arrays are not instances of this realm's classes.
        return new Uint8Array(host.encode(text));
      }
      encodeInto(text: string, into: Uint8Array): { read: number; written: number } {
        const bytes = host.encode(text).subarray(0, into.length);
        into.set(bytes);
        return { read: text.length, written: bytes.length };
      }
    },
  );
  define(
    "TextDecoder",
    class TextDecoder {
      readonly encoding: string;
      readonly #options: object | undefined;
      constructor(label = "utf-8", options?: object) {
        this.encoding = label;
        this.#options = options;
      }
      decode(data?: ArrayBuffer | ArrayBufferView): string {
        return host.decode(this.encoding, this.#options, data === undefined ? new Uint8Array() : toBytes(data));
      }
    },
  );

  const cloned = (value: unknown, seen: Map<unknown, unknown>): unknown => {
    if (typeof value === "function" || typeof value === "symbol") throw new Error("This value could not be cloned.");
    if (typeof value !== "object" || value === null) return value;
    if (seen.has(value)) return seen.get(value);
    const keep = <T>(copy: T): T => (seen.set(value, copy), copy);
    if (value instanceof RealDate) return keep(new RealDate(value.getTime()));
    if (value instanceof RegExp) return keep(new RegExp(value.source, value.flags));
    if (value instanceof ArrayBuffer) return keep(value.slice(0));
    if (ArrayBuffer.isView(value)) return keep((value as Uint8Array).slice());
    if (value instanceof Error) return keep(Object.assign(new Error(value.message), { name: value.name }));
    if (value instanceof Map) {
      const copy = keep(new Map<unknown, unknown>());
      for (const [key, one] of value) copy.set(cloned(key, seen), cloned(one, seen));
      return copy;
    }
    if (value instanceof Set) {
      const copy = keep(new Set<unknown>());
      for (const one of value) copy.add(cloned(one, seen));
      return copy;
    }
    const copy = keep((Array.isArray(value) ? [] : {}) as Record<string, unknown>);
    for (const key of Object.keys(value)) copy[key] = cloned((value as Record<string, unknown>)[key], seen);
    return copy;
  };
  define("structuredClone", (value: unknown) => cloned(value, new Map()));

  // Node's own would keep its promises in another realm, where nothing of a run's is waited for.
  const blobBytes = new WeakMap<object, Uint8Array<ArrayBuffer>>();
  const toPart = (part: unknown): Uint8Array =>
    typeof part === "object" && part !== null
      ? (blobBytes.get(part) ?? toBytes(part as ArrayBuffer | ArrayBufferView))
      : host.encode(String(part));
  class RealmBlob {
    readonly type: string;
    constructor(parts: Iterable<unknown> = [], options: { type?: string } = {}) {
      const pieces = [...parts].map(toPart);
      const all = new Uint8Array(pieces.reduce((size, one) => size + one.length, 0));
      let at = 0;
      for (const one of pieces) {
        all.set(one, at);
        at += one.length;
      }
      blobBytes.set(this, all);
      this.type = (options.type ?? "").toLowerCase();
    }
    get #bytes(): Uint8Array<ArrayBuffer> {
      return blobBytes.get(this) as Uint8Array<ArrayBuffer>;
    }
    get size(): number {
      return this.#bytes.length;
    }
    async arrayBuffer(): Promise<ArrayBuffer> {
      return this.#bytes.slice().buffer;
    }
    async bytes(): Promise<Uint8Array> {
      return this.#bytes.slice();
    }
    async text(): Promise<string> {
      return host.decode("utf-8", undefined, this.#bytes);
    }
    slice(start?: number, end?: number, type = ""): RealmBlob {
      return new RealmBlob([this.#bytes.slice(start, end)], { type });
    }
  }
  Object.defineProperty(RealmBlob, "name", { value: "Blob" });
  define("Blob", RealmBlob);

  for (const name of [
    "URL",
    "URLSearchParams",
    "Headers",
    "Request",
    "Response",
    "FormData",
    "AbortController",
    "AbortSignal",
    "Event",
    "EventTarget",
    "ReadableStream",
    "TransformStream",
    "WritableStream",
    "atob",
    "btoa",
    "DOMException",
  ])
    Object.defineProperty(realm, name, {
      configurable: true,
      enumerable: false,
      get: () => {
        const value = host.webClass(name);
        define(name, value);
        return value;
      },
      set: (value) => {
        define(name, value);
      },
    });
  // Garbage collection must not be seen: it differs from run to run.
  define(
    "WeakRef",
    class WeakRef<T> {
      readonly #target: T;
      constructor(target: T) {
        this.#target = target;
      }
      deref(): T {
        return this.#target;
      }
    },
  );
  define(
    "FinalizationRegistry",
    class FinalizationRegistry {
      register(): void {}
      unregister(): void {}
    },
  );
  delete realm["SharedArrayBuffer"];
  delete realm["Atomics"];

  const describe = (thrown: unknown): string => {
    try {
      const error = thrown as { name?: unknown; message?: unknown; stack?: unknown; data?: unknown; ConvexErrorSymbol?: unknown };
      if (typeof thrown !== "object" || thrown === null || !("message" in thrown))
        return JSON.stringify({
          name: "",
          message: typeof thrown === "string" ? thrown : (JSON.stringify(thrown) ?? "undefined"),
        });
      const isConvexError = error.ConvexErrorSymbol === Symbol.for("ConvexError");
      return JSON.stringify({
        name: isConvexError ? "ConvexError" : typeof error.name === "string" ? error.name : "Error",
        message: String(error.message),
        stack: typeof error.stack === "string" ? error.stack : "",
        data: isConvexError && typeof error.data === "string" ? error.data : undefined,
      });
    } catch {
      return JSON.stringify({ name: "Error", message: "An error that could not be described." });
    }
  };

  return {
    seed: (w, x, y, z) => {
      a = w;
      b = x;
      c = y;
      d = z | 1;
    },
    prepare: (ms) => {
      nowMs = ms;
      usedTime = false;
      frames.length = 0;
      timers.clear();
      counts.clear();
    },
    start: (module, name, invoke, args) => {
      frames.push(frame);
      const mine: Frame = { waiting: [], outcome: "" };
      frame = mine;
      try {
        const registered = exportsOf(module)?.[name];
        if (typeof registered?.[invoke] !== "function") throw new Error(`Couldn't find "${name}" in module "${module}.js".`);
        void (registered[invoke] as (args: string) => Promise<string>)(args).then(
          (value) => void (mine.outcome = `=${value}`),
          (error: unknown) => void (mine.outcome = `!${describe(error)}`),
        );
      } catch (error) {
        mine.outcome = `!${describe(error)}`;
      }
    },
    nextOp: () => frame.waiting[0]?.op,
    nextArgs: () => frame.waiting[0]?.args ?? "",
    settle: (answer) => {
      const first = frame.waiting.shift();
      if (answer[0] === "=") first?.resolve(answer.slice(1));
      else first?.reject(toError(answer));
    },
    outcome: () => frame.outcome,
    finish: () => {
      frame = frames.pop() ?? { waiting: [], outcome: "" };
    },
    usedTime: () => usedTime,
  };
}
