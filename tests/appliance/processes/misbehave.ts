/** A process that does what it is told, however bad. */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { askParent, handOver, serve } from "../../../appliance/processes/serve.ts";

export type Deed =
  | "sum"
  | "pid"
  | "spin"
  | "heap"
  | "buffers"
  | "exit"
  | "throw"
  | "environment"
  | "write"
  | "read"
  | "spawn"
  | "ask"
  | "big"
  | "parts"
  | "bigSum"
  | "stopReading"
  | "length";

const kept: unknown[] = [];

serve((deed: Deed, bytes): unknown => {
  switch (deed) {
    case "sum":
      return bytes.reduce((sum, byte) => sum + byte, 0);
    case "length":
      return bytes.length;
    case "pid":
      return process.pid;
    case "spin":
      for (;;) kept.length = 0;
    case "heap":
      for (;;) kept.push({ at: kept.length });
    case "buffers":
      for (;;) kept.push(new Uint8Array(8 * 1024 * 1024).fill(1));
    case "big":
      kept.push(new Uint8Array(140 * 1024 * 1024).fill(1));
      return kept.length;
    case "parts":
      return (async () => {
        for (let at = 0; at < 40; at += 1) await handOver(new Uint8Array(100_000).fill(at));
        return "the rest";
      })();
    case "bigSum":
      kept.push(new Uint8Array(140 * 1024 * 1024).fill(1));
      return bytes.reduce((sum, byte) => sum + byte, 0);
    case "stopReading":
      setTimeout(() => {
        for (;;) kept.length = 0;
      }, 10);
      return undefined;
    case "exit":
      return process.exit(3);
    case "throw":
      throw new TypeError("a reason");
    case "environment":
      return Object.keys(process.env);
    case "write":
      return attempt(() => writeFileSync("/tmp/nika-should-not-be", "x"));
    case "read":
      return attempt(() => readFileSync("/etc/hostname"));
    case "ask":
      return (async () => [await askParent("one"), await askParent("other")])();
    case "spawn":
      return attempt(() => spawnSync("true"));
  }
});

function attempt(deed: () => unknown): string {
  try {
    deed();
    return "done";
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}
