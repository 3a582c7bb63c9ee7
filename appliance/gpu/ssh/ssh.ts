/**
 * Machines that the owner has, by SSH: nothing is rented, so nothing is billed; what is started there is found again by its name and ended with all
 * its processes. The way back from them is a tunnel in the same connection, laid anew when it breaks.
 */
import { setTimeout as delay } from "node:timers/promises";
import { isNikaError } from "../../../convex/model/error.ts";
import {
  parseMachineName,
  type AccountCheck,
  type Capability,
  type Failure,
  type Observed,
  type Offer,
} from "../../../convex/model/gpu.ts";
import { ProviderError, type Provider } from "../../../functions/ports/gpu.ts";
import { doorPort } from "../reach.ts";
import type { Host } from "./hosts.ts";
import { openSession, type Session } from "./session.ts";
import type { Way } from "./ways.ts";

export type SshOptions = {
  readonly hosts: () => readonly Host[];
  readonly privateKey: () => Promise<string>;
  /** Of the door, on this machine. */
  readonly socket: string;
  readonly now: () => number;
  readonly log: (line: string) => void;
};

const capability: Capability = {
  form: ["host"],
  createIs: "onceByName",
  hasTags: false,
  hasSpot: false,
  shutdownEndsBill: "yes",
  hasTtl: false,
  deletesItself: "process",
  listLagMs: 0,
  noticeMs: 0,
  bootBytesMax: 64_000,
};
const againMs = 5_000;

/** Names of machines with processes, one a line; then, after a line of "-", all whose folder is there. */
const listing = `cd "$HOME/.nika" 2>/dev/null || { echo -; exit 0; }
grep -zhs '^NIKA_MACHINE=' /proc/[0-9]*/environ | tr '\\0' '\\n' | sed 's/^NIKA_MACHINE=//' | sort -u
echo -
ls -d nika-* 2>/dev/null; true`;
const ending = (name: string): string => `for i in 1 2 3 4 5; do
n=$(grep -lzs '^NIKA_MACHINE=${name}$' /proc/[0-9]*/environ | cut -d / -f 3)
[ -z "$n" ] && break; kill -9 $n 2>/dev/null; sleep 0.2; done
rm -rf "$HOME/.nika/${name}"`;
const starting = (name: string): string =>
  `mkdir -p "$HOME/.nika/${name}" && cat > "$HOME/.nika/${name}/boot.sh" && chmod 700 "$HOME/.nika" && cd "$HOME/.nika/${name}" && ` +
  `{ NIKA_MACHINE=${name} NIKA_BASE="$HOME/.nika/${name}" setsid sh ./boot.sh >boot.log 2>&1 </dev/null & } && echo started`;

export type SshProvider = Provider & {
  /** Beside the way to the door; again where it is laid already. */
  lay(name: string, ways: readonly Way[]): Promise<void>;
  close(): void;
};

export function sshProvider({ hosts, privateKey, socket, now, log }: SshOptions): SshProvider {
  const sessions = new Map<string, Promise<Session>>();
  const closing = new AbortController();

  const hostOf = (region: string): Host => {
    const found = hosts().find(({ name }) => name === region);
    if (!found) throw failure("missing", `${region} is not among your machines any more.`);
    return found;
  };
  function sessionOf(host: Host): Promise<Session> {
    const found = sessions.get(host.name);
    if (found) return found;
    const opening = privateKey().then((key) => openSession({ ...host, privateKey: key }));
    sessions.set(host.name, opening);
    opening.then(
      (session) => void session.ended.then(() => sessions.get(host.name) === opening && sessions.delete(host.name)),
      () => sessions.delete(host.name),
    );
    return opening;
  }
  /** As long as something runs there, the way back is kept open. */
  const kept = new Set<string>();
  async function keepTunnel(host: Host): Promise<void> {
    if (kept.has(host.name)) return;
    kept.add(host.name);
    try {
      while (!closing.signal.aborted && (await listOf(host)).some(({ state }) => state === "running")) {
        const session = await sessionOf(host);
        await session.lay(doorPort, socket);
        await Promise.race([session.ended, delay(60_000, undefined, { ref: false })]);
      }
    } catch (error) {
      log(`gpu: the tunnel to ${host.name}: ${String(error)}`);
      if (!closing.signal.aborted) setTimeout(() => void keepTunnel(host), againMs).unref();
    } finally {
      kept.delete(host.name);
    }
  }
  async function listOf(host: Host): Promise<Observed[]> {
    const session = await sessionOf(host);
    const { output } = await session.exec(listing);
    const [running = "", there = ""] = output.split(/^-$/m);
    const alive = new Set(running.split("\n").filter(Boolean));
    const names = new Set([...alive, ...there.split("\n").filter(Boolean)]);
    return [...names].map((name) => observed(host, name, alive.has(name)));
  }
  const told = async <T>(call: () => Promise<T>): Promise<T> => {
    try {
      return await call();
    } catch (error) {
      if (error instanceof ProviderError) throw error;
      throw new ProviderError(toFailure(error), { cause: error });
    }
  };

  return {
    id: "ssh",
    capability,
    async offers(need) {
      return hosts().flatMap((host) => {
        const { name, cpus, memoryMb, diskMb, gpu } = host;
        if (need.isInEu === true) return [];
        if (need.gpu && (!gpu || gpu.count < need.gpu.count || gpu.memoryMb < need.gpu.memoryMb)) return [];
        if (need.gpu?.names && gpu && !need.gpu.names.includes(gpu.name)) return [];
        if (cpus < (need.cpus ?? 0) || memoryMb < (need.memoryMb ?? 0) || diskMb < (need.diskMb ?? 0)) return [];
        const offer: Offer = {
          provider: "ssh",
          id: name,
          form: "host",
          type: host.host,
          region: name,
          isInEu: false,
          ...(gpu && { gpu }),
          cpus,
          memoryMb,
          diskMb,
          isSpot: false,
          hourly: { micros: 0, currency: "EUR" },
          quantumMs: 1_000,
          minimumMs: 0,
          stock: "unknown",
          pricedAt: now(),
          priceSource: "this machine is yours",
        };
        return [offer];
      });
    },
    async create({ name, offer, boot }) {
      try {
        if (boot.length > capability.bootBytesMax) throw failure("invalid", "The start script is too long.");
        const host = hostOf(offer.region);
        const live = (await listOf(host)).filter(({ state }) => state === "running");
        const twin = live.find((one) => one.name === name);
        if (!twin && live.length >= host.slots)
          throw failure("noCapacity", `${host.name} is set to do ${host.slots} pieces of work at a time.`);
        const session = await sessionOf(host);
        if (!twin) {
          await session.lay(doorPort, socket);
          const { output } = await session.exec(starting(name), boot);
          if (!output.includes("started")) throw failure("transient", `${host.name} could not start the work.`);
        }
        void keepTunnel(host);
        return { type: "created", observed: twin ?? observed(host, name, true) };
      } catch (error) {
        const why = error instanceof ProviderError ? error.failure : toFailure(error);
        return why.kind === "transient" ? { type: "unknown", failure: why } : { type: "failed", failure: why };
      }
    },
    describe: (ref) => told(async () => (await listOf(hostOf(ref.region))).find(({ ref: { id } }) => id === ref.id)),
    async *list() {
      for (const host of hosts()) {
        const found = await told(() => listOf(host));
        if (found.some(({ state }) => state === "running")) void keepTunnel(host);
        yield* found;
      }
    },
    terminate: (ref) =>
      told(async () => {
        if (!parseMachineName(ref.id)) return "gone";
        const session = await sessionOf(hostOf(ref.region));
        await session.exec(ending(ref.id));
        return "accepted";
      }),
    async check(): Promise<readonly AccountCheck[]> {
      if (hosts().length === 0)
        return [{ name: "machines", passed: false, says: "There is none yet; `nika gpu add-host USER@HOST` adds one." }];
      return Promise.all(
        hosts().map(async (host): Promise<AccountCheck> => {
          try {
            await listOf(host);
            return { name: host.name, passed: true, says: "It answers, and its key is the pinned one." };
          } catch (error) {
            return { name: host.name, passed: false, says: toFailure(error).says };
          }
        }),
      );
    },
    async lay(name, ways) {
      const session = await sessionOf(hostOf(name));
      for (const { port, to } of ways) await session.lay(port, to);
    },
    close() {
      closing.abort();
      for (const session of sessions.values()) void session.then((one) => one.end()).catch(() => undefined);
    },
  };
}

function observed({ name: region }: Host, name: string, isRunning: boolean): Observed {
  const parsed = parseMachineName(name);
  return {
    ref: { provider: "ssh", region, id: name },
    name,
    ...parsed,
    state: isRunning ? "running" : "stopped",
    ...(!isRunning && { wentBy: "itself" as const }),
    isBilled: isRunning,
    satellites: [],
  };
}

const failure = (kind: Failure["kind"], says: string): ProviderError => new ProviderError({ kind, scope: "region", says });
function toFailure(error: unknown): Failure {
  if (error instanceof ProviderError) return error.failure;
  if (isNikaError(error)) return { kind: error.code === "denied" ? "auth" : "transient", scope: "region", says: error.message };
  return { kind: "transient", scope: "region", says: "The machine did not answer by SSH." };
}
