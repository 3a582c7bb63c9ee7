/** Starting on many points: how long until the store answers, and what it then holds in memory per byte of raw vectors. */
import { fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toIdBytes } from "../../../appliance/vectors/pointId.ts";
import { parsePath } from "../../../appliance/vectors/filter/payloadPath.ts";
import { parseCollection } from "../../../appliance/vectors/config.ts";
import { parseFieldSchema } from "../../../appliance/vectors/filter/payloadIndex.ts";
import { Store } from "../../../appliance/vectors/store.ts";
import { toVectors } from "../../../appliance/vectors/vectorInput.ts";
import { startVectors } from "../../../appliance/vectors/vectors.ts";
import { collection, dimensions, indexes, passages } from "./parts/data.ts";
import { atMost, report } from "./parts/figure.ts";

type Measured = { readonly ms: number; readonly bytes: number };

if (process.argv[2] === "measure") await measure(process.argv[3]!);
else await compare();

async function compare(): Promise<void> {
  for (const [name, count, shape] of [
    ["vectors only", 100_000, { vectors: collection.vectors }],
    ["vectors and words", 40_000, collection],
  ] as const) {
    const dir = mkdtempSync(join(tmpdir(), "nika-bench-"));
    fill(dir, count, shape);
    const idle = await inChild(join(dir, "empty"));
    const full = await inChild(dir);
    const size = `${count} x ${dimensions}, ${name}`;
    report({ name: `start, ${size}`, value: full.ms - idle.ms, unit: "ms" }, atMost(1_500));
    const raw = count * dimensions * 4;
    report(
      {
        name: `memory (peer: raw vectors), ${size}`,
        value: (full.bytes - idle.bytes) / 2 ** 20,
        unit: "MiB",
        peer: raw / 2 ** 20,
      },
      atMost(1.6),
    );
    report({ name: "memory of the empty store's process", value: idle.bytes / 2 ** 20, unit: "MiB" });
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Straight into the store: the way through the client is measured in rest.ts. */
function fill(dir: string, count: number, shape: object): void {
  const store = new Store(dir);
  store.create("c", parseCollection(shape as Record<string, unknown>));
  store.write("c", (c) =>
    Object.entries(indexes).forEach(([key, schema]) => c.addIndex(parsePath(key), parseFieldSchema(schema))),
  );
  const { config } = store.get("c");
  const { point } = passages(13);
  for (let from = 0; from < count; from += 5_000) {
    store.write("c", (c) => {
      for (let i = from; i < from + 5_000; i++) {
        const { id, vector, payload } = point(i);
        const wanted = Object.fromEntries(Object.entries(vector).filter(([name]) => config.vectors.has(name)));
        c.upsert({ id: toIdBytes(id), payload, text: JSON.stringify(payload), vectors: toVectors(wanted, config) });
      }
    });
  }
  store.close();
}

async function inChild(dir: string): Promise<Measured> {
  const child = fork(import.meta.filename, ["measure", dir], { execArgv: ["--expose-gc"] });
  const answer = Promise.withResolvers<Measured>();
  child.once("message", (message) => answer.resolve(message as Measured));
  return answer.promise;
}

async function measure(dir: string): Promise<void> {
  const startedAt = performance.now();
  const store = await startVectors({ dir, apiKey: "bench", host: "127.0.0.1", log: console.error });
  const ms = performance.now() - startedAt;
  globalThis.gc?.();
  // What is mapped from the file is the system's cache, not ours: it gives it up when it needs it.
  const status = await import("node:fs").then((fs) => fs.readFileSync("/proc/self/status", "utf8"));
  const bytes = Number(/RssAnon:\s+(\d+)/.exec(status)?.[1]) * 1024;
  process.send!({ ms, bytes } satisfies Measured, () => void store.close().then(() => process.exit()));
}
