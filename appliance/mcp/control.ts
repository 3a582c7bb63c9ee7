/** What the owner does about servers, by the page, the command line and the routes alike. */
import type { Seen as SeenOffers, ServerFacts } from "../../convex/model/serverView.ts";
import type { Builder } from "./build/verbs.ts";
import type { Discover } from "./discover/discover.ts";
import type { Seen } from "./guard/taints.ts";
import type { Entry } from "./log/ledger.ts";
import type { Stats } from "./log/stats.ts";

export type McpControl = {
  list(): readonly ServerFacts[];
  /** Starts a server and says what it offers. */
  test(name: string, signal: AbortSignal): Promise<object>;
  /** Exactly what `seen` names, by its digests; says how many tools and prompts. Fails with `conflict` when any of it is another now. */
  approve(name: string, seen: SeenOffers): number;
  /** The new form that waits, of that digest, takes the old one's place; undefined: it is let go. */
  upgrade(name: string, accepted: string | undefined): Promise<void>;
  /** The command of that digest may run without a sandbox; undefined: none. */
  allow(name: string, seen: string | undefined): Promise<void>;
  /** Makes servers from documents. */
  readonly builder: Builder;
  /** Ends what runs of it; its next call starts it anew. */
  restart(name: string): Promise<void>;
  call(name: string, args: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<object>;
  /** Takes it out of Nika's own files, with what was approved and installed of it; the name of the file. */
  remove(name: string): Promise<string>;
  /** Turns it on or off, where it is declared. */
  turn(name: string, isOn: boolean): Promise<void>;
  readonly discover: Discover;
  reload(): Promise<void>;
  /** What conversations have seen, the latest first; `isOver`: they are taken to be over. */
  seen(isOver: boolean): readonly Seen[];
  /** Of so many days back. */
  stats(days: number): Promise<Stats>;
  /** The owner knows why the log did not reach as far as it once did. */
  acceptLog(): void;
  events(limit: number): readonly Entry[];
};
