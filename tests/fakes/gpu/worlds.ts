/** Every emulated provider as the lease engine meets it, by name. Opened once the clock is the drill's. */
import type { World } from "./fleet.ts";
import { openPlain, type PlainOptions } from "./plain.ts";

type OpenWorld = () => Promise<World>;

const plain =
  (name: string, options: Omit<PlainOptions, "now">): OpenWorld =>
  async () => {
    const { provider, cloud } = openPlain({ ...options, now: () => Date.now() });
    return { name, provider, lying: cloud.lying };
  };

export const worlds: Readonly<Record<string, OpenWorld>> = {
  /** No token, lists that lag, no timer. */
  plain: plain("plain", { createIs: "notOnce", listLagMs: 20_000 }),
  /** Keeps tokens, and has a timer. */
  token: plain("token", { createIs: "onceByToken", hasTtl: true }),
};
