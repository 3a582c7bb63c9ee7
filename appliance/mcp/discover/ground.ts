/** What installing has to do with the pool. */
import type { Pool } from "../pool/pool.ts";
import type { Ground } from "./install.ts";

export const groundOf = (pool: Pool, reload: () => Promise<void>): Ground => ({
  locks: () => pool.locks(),
  names: () => pool.standings().map(({ name }) => name),
  adopt: (server, installed, tried) => pool.adopt(server, installed, tried),
  reload,
  standing(server) {
    const standing = pool.standings().find(({ name }) => name === server);
    if (!standing) return undefined;
    const waiting = standing.offers.filter(({ standing: one }) => one !== "approved");
    return {
      tools: standing.offers.filter(({ kind }) => kind === "tool").length,
      waiting: waiting.length,
      marked: waiting.filter(({ findings }) => findings.length > 0).length,
      problem: standing.problem,
    };
  },
});
