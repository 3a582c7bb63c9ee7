/** How each server stands, for whoever looks: also those that are only named in a file that cannot be read. */
import type { ServerConfig } from "../../../convex/model/server.ts";
import type { SignIn } from "../auth/account.ts";
import type { Installed, Listing } from "./kept.ts";
import type { Peer } from "./peer.ts";
import type { Pins } from "./pins.ts";
import type { Reload, Waiting } from "./reload.ts";
import type { Registry } from "./registry.ts";
import type { Offer } from "../routes.ts";
import { notTaken, type Held, type Slot } from "./slot.ts";

export type ServerState = "cold" | "starting" | "running" | "paused" | "failed" | "off";
export type ServerStanding = {
  readonly name: string;
  readonly config: ServerConfig | undefined;
  /** The file that declares it. */
  readonly origin: string;
  readonly installed: Installed | undefined;
  readonly state: ServerState;
  /** What keeps it, or its new configuration, from working; absent when nothing does. */
  readonly problem: string | undefined;
  readonly isBareAllowed: boolean;
  readonly way: Peer["way"] | undefined;
  readonly listing: Listing | undefined;
  readonly offers: readonly Offer[];
  /** Connections to it now. */
  readonly peers: number;
  readonly signIn: SignIn;
  /** How a new form that waits for the owner answers otherwise. */
  readonly upgrade?: Waiting | undefined;
};

/** In the order of their names. */
export function toStandings(
  { slots, catalog, lock, problems, off, routes }: Registry,
  { isBareAllowed, waiting }: Pick<Pins, "isBareAllowed"> & Pick<Reload, "waiting">,
  signInOf: (server: string) => SignIn,
): readonly ServerStanding[] {
  const standing = [...slots.values()].map((slot): ServerStanding => {
    const { config } = slot;
    const held = [...slot.held.values()];
    const peer = held.find((one) => one.peer)?.peer;
    const configProblem = problems.find(
      ({ server, file }) => server === config.name || (server === undefined && file === config.origin),
    );
    return {
      name: config.name,
      config,
      origin: config.origin,
      installed: lock.value[config.name]?.installed,
      state: stateOf(slot, held),
      problem: configProblem
        ? `The edited file was not taken; it goes on as before. ${configProblem.key === "" ? configProblem.file : configProblem.key}: ${configProblem.message}`
        : slot.problem,
      isBareAllowed: isBareAllowed(config),
      way: peer?.way,
      listing: catalog.value[config.name],
      offers: routes().offers.get(config.name) ?? [],
      peers: held.length,
      signIn: signInOf(config.name),
      upgrade: waiting(config.name),
    };
  });
  const named = new Set(standing.map(({ name }) => name));
  for (const { server, file, key, message } of problems) {
    const name = server ?? file;
    if (named.has(name) || (server === undefined && [...slots.values()].some(({ config }) => config.origin === file))) continue;
    named.add(name);
    const problem = `${file}${key === "" ? "" : `: ${key}`}: ${message}`;
    standing.push({
      name,
      origin: file,
      installed: lock.value[name]?.installed,
      ...nothing,
      state: "failed",
      problem,
    });
  }
  for (const { name, origin } of off)
    if (!named.has(name))
      standing.push({
        ...nothing,
        name,
        origin,
        installed: lock.value[name]?.installed,
        state: "off",
        listing: catalog.value[name],
      });
  return standing.toSorted((left, right) => (left.name < right.name ? -1 : 1));
}

/** Of one that is not held in the pool. */
const nothing = {
  config: undefined,
  problem: undefined,
  isBareAllowed: false,
  way: undefined,
  listing: undefined,
  offers: [],
  peers: 0,
  signIn: undefined,
} as const;

function stateOf({ problem }: Slot, held: readonly Held[]): ServerState {
  if (held.some(({ peer, isPaused }) => peer && !isPaused)) return "running";
  if (held.some(({ peer }) => !peer)) return "starting";
  if (held.some(({ isPaused }) => isPaused)) return "paused";
  return problem === undefined || problem.startsWith(notTaken) ? "cold" : "failed";
}
