/** What the owner does to servers' declarations: turns one off and on, takes it out. Only files of Nika's own are written. */
import { dirname, join } from "node:path";
import { NikaError } from "../../../convex/model/error.ts";
import { toAlias } from "../../../convex/model/server.ts";
import type { Discover } from "../discover/discover.ts";
import { editEntry } from "../discover/dropIn.ts";
import type { Packages } from "../discover/packages.ts";
import type { Pool } from "./pool.ts";

export type Declared = {
  /** Resolves when the change was taken. */
  turn(name: string, isOn: boolean): Promise<void>;
  /** Takes it out, with what was approved of it, and its package when nobody else has it; the file it stood in. */
  remove(name: string): Promise<string>;
};
export type DeclaredOptions = {
  readonly dataDir: string;
  readonly pool: Pool;
  readonly discover: Pick<Discover, "remove">;
  readonly packages: Packages;
  readonly reload: () => Promise<void>;
  readonly decide: (type: string, server: string) => void;
};

export function openDeclared({ dataDir, pool, discover, packages, reload, decide }: DeclaredOptions): Declared {
  const isIt =
    (name: string) =>
    (key: string): boolean =>
      key === name || toAlias(key) === name;
  function originOf(name: string): string {
    const origin = pool.standings().find((one) => one.name === name)?.origin;
    if (origin === undefined) throw new NikaError("missing", `There is no MCP server named "${name}"; see \`nika mcp list\`.`);
    if (origin === join(dataDir, "mcp-servers.json") || dirname(origin) === join(dataDir, "mcp.d")) return origin;
    throw new NikaError("conflict", `"${name}" is declared in ${origin}, which other programs read, too; change it there.`);
  }
  return {
    async turn(name, isOn) {
      editEntry(originOf(name), isIt(name), ({ disabled: _disabled, enabled: _enabled, ...rest }) =>
        isOn ? rest : { ...rest, disabled: true },
      );
      decide(isOn ? "turnedOn" : "turnedOff", name);
      await reload();
    },
    async remove(name) {
      const origin = originOf(name);
      const file = discover.remove(name, pool.locks()[name]);
      if (file === undefined) editEntry(origin, isIt(name), () => undefined);
      decide("removed", name);
      pool.forget(name);
      await reload();
      packages.sweep(Object.values(pool.locks()));
      return file ?? origin;
    },
  };
}
