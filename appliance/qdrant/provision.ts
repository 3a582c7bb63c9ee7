/**
 * A Qdrant of Nika's own: its image, volume, key and port, brought up and waited for. What runs it is a container engine behind a port; what
 * talks to it afterwards cannot tell it from a Qdrant that somebody else looks after.
 */
import { setTimeout as delay } from "node:timers/promises";
import { NikaError } from "../../convex/model/error.ts";
import type { Containers } from "../../functions/ports/containers.ts";
import { mustBeRecent } from "./version.ts";

export type ProvisionOptions = {
  readonly containers: Containers;
  readonly apiKey: string;
  /** On 127.0.0.1. */
  readonly port: number;
  /** Pinned: an upgrade is a change that somebody decided. */
  readonly image?: string;
  /** Of the container; its volume is named after it. */
  readonly name?: string;
  /** Until it answers, on a machine that reads its collections from a cold disk. */
  readonly readyMs?: number;
};
export type Provisioned = {
  readonly url: string;
  readonly version: string;
  /** Ends the container; its data stay in the volume. */
  stop(): Promise<void>;
};

export const qdrantImage = "qdrant/qdrant:v1.19.1-unprivileged";
const pollMs = 200;
const readyMsDefault = 120_000;
const logLines = 5;

/**
 * Brings it up, or finds it up. Fails with `missing` when the image cannot be had, `unavailable` when it does not come up, with its
 * last words, and `conflict` when it is too old or the port is taken. May be repeated.
 */
export async function provisionQdrant(options: ProvisionOptions, signal: AbortSignal): Promise<Provisioned> {
  const { containers, apiKey, port, image = qdrantImage, name = "nika-qdrant", readyMs = readyMsDefault } = options;
  await containers.needImage(image, signal);
  await containers.run({
    name,
    image,
    environment: {
      QDRANT__SERVICE__API_KEY: apiKey,
      QDRANT__TELEMETRY_DISABLED: "true",
      // The only place it may write to.
      QDRANT__STORAGE__SNAPSHOTS_PATH: "/qdrant/storage/snapshots",
      QDRANT_INIT_FILE_PATH: "/qdrant/storage/.initialized",
    },
    ports: [{ inside: 6333, outside: port }],
    volumes: [{ name: `${name}-data`, path: "/qdrant/storage" }],
    memoryBytes: 2 * 1024 ** 3,
    cpus: 2,
    processesMax: 512,
  });
  const url = `http://127.0.0.1:${port}`;
  const version = await ready({ containers, name, url, readyMs }, signal);
  await checkKey(url, apiKey);
  return { url, version, stop: () => containers.stop(name) };
}

type Waiting = { readonly containers: Containers; readonly name: string; readonly url: string; readonly readyMs: number };

/** Its version, once it is ready. */
async function ready({ containers, name, url, readyMs }: Waiting, signal: AbortSignal): Promise<string> {
  for (const until = performance.now() + readyMs; performance.now() < until;) {
    if (await isReady(url, signal)) return checkVersion(url);
    const state = await containers.find(name);
    if (!state || state.exitCode !== undefined)
      throw await ended(containers, name, `ended with code ${state?.exitCode ?? "unknown"}`);
    await delay(pollMs, undefined, { signal });
  }
  throw await ended(containers, name, `was not ready after ${Math.round(readyMs / 1000)} s`);
}

async function isReady(url: string, signal: AbortSignal): Promise<boolean> {
  try {
    return (await fetch(`${url}/readyz`, { signal })).ok;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}

async function ended(containers: Containers, name: string, how: string): Promise<NikaError> {
  const lines = await containers.lastLines(name, logLines).catch(() => []);
  const said = lines.length > 0 ? ` It last said: ${lines.join(" | ").slice(0, 500)}` : "";
  return new NikaError("unavailable", `The Qdrant container ${name} ${how}.${said}`);
}

async function checkVersion(url: string): Promise<string> {
  const { version } = (await (await fetch(url)).json()) as { version?: unknown };
  return mustBeRecent(url, version);
}

/** A volume keeps no key, so a wrong one means that something else has the port. */
async function checkKey(url: string, apiKey: string): Promise<void> {
  const { status } = await fetch(`${url}/collections`, { headers: { "api-key": apiKey } });
  if (status === 401 || status === 403)
    throw new NikaError("denied", `The Qdrant at ${url} does not take Nika's key: it is another one's.`);
}
