/**
 * How what runs elsewhere reaches this appliance: in the house, by the address that the owner gave, over the owner's mesh, or by a way that Nika
 * lays itself when it can sign in there. Nothing is rented that could not.
 */
import type { Form, ProviderId } from "../../convex/model/gpu.ts";
import type { Way } from "./ssh/ways.ts";

/** On the machine's own loopback, where Nika lays its end. The first leads to the door, the others to what a worker needs. */
export const doorPort = 7_646;
export const appliancePort = 7_647;
export const vaultPort = 7_648;

export type ReachOptions = {
  readonly publicUrl: string | undefined;
  /** Of this appliance in the owner's mesh, where there is one. */
  readonly meshUrl: () => string | undefined;
  /** Of the vault, as this machine reaches it. */
  readonly vaultUrl: string;
  /** Of this appliance, on its own loopback. */
  readonly port: number;
  readonly doorSocket: string;
};

type By = "mesh" | "address" | "tunnel";
type Place = { readonly provider: ProviderId; readonly form: Form };
/** Where things are for programs there. */
export type Reached = {
  readonly by: "house" | By;
  readonly doorUrl: string;
  readonly url: string;
  readonly vaultUrl: string;
};

export type Reach = {
  /** Undefined: what is there cannot reach this appliance. */
  of(place: Place): Reached | undefined;
  /** Where rented machines find this appliance. */
  ofRented(): { readonly by: By; readonly url: string };
  /** Whether anything that this provider lets could. */
  reaches(provider: string): boolean;
  /** What is to be laid to a machine there; for one that works for the appliance itself, more. */
  ways(place: Place, isWorker: boolean): readonly Way[];
};

const here = (port: number): string => `http://127.0.0.1:${port}`;
const isHere = (url: string): boolean => ["localhost", "127.0.0.1", "[::1]"].includes(new URL(url).hostname);
/** These let machines with an address of their own, into which Nika can sign in. */
const letMachines = new Set<string>(["aws", "google", "azure", "scaleway", "contabo"]);
/** Of this house: they need no key, and reach the door without an address of ours. */
export const ofThisHouse: readonly string[] = ["local", "ssh"];

export function openReach({ publicUrl, meshUrl, vaultUrl, port, doorSocket }: ReachOptions): Reach {
  const portOf = (url: string): number => Number(new URL(url).port);
  const ofRented = (): { by: By; url: string } => {
    const mesh = meshUrl();
    if (mesh !== undefined) return { by: "mesh", url: mesh };
    return publicUrl !== undefined && !isHere(publicUrl)
      ? { by: "address", url: publicUrl }
      : { by: "tunnel", url: here(appliancePort) };
  };
  const of = ({ provider, form }: Place): Reached | undefined => {
    if (provider === "local") return { by: "house", doorUrl: here(doorPort), url: here(port), vaultUrl };
    if (form !== "machine" && provider !== "ssh")
      return publicUrl === undefined ? undefined : { by: "address", doorUrl: publicUrl, url: publicUrl, vaultUrl };
    const way = provider === "ssh" ? ({ by: "tunnel", url: here(appliancePort) } as const) : ofRented();
    const doorUrl = way.by === "tunnel" ? here(doorPort) : way.url;
    return { ...way, doorUrl, vaultUrl: isHere(vaultUrl) ? here(vaultPort) : vaultUrl };
  };
  return {
    of,
    ofRented,
    reaches: (provider) => publicUrl !== undefined || ofThisHouse.includes(provider) || letMachines.has(provider),
    ways(place, isWorker) {
      const reached = of(place);
      if (!reached || reached.by === "house") return [];
      const isLaid = reached.by === "tunnel";
      return [
        // Machines of the owner's have this one already.
        ...(isLaid && place.provider !== "ssh" ? [{ port: doorPort, to: doorSocket }] : []),
        ...(isLaid && isWorker ? [{ port: appliancePort, to: port }] : []),
        ...(isWorker && reached.vaultUrl === here(vaultPort) ? [{ port: vaultPort, to: portOf(vaultUrl) }] : []),
      ];
    },
  };
}
