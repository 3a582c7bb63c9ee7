/** The application server in front of Postgres: `postgresGate.ts CLIENT_DIR PORT ACCOUNTS`. Answers `{id, from, to, amount}` over WebSocket. */
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { WebSocketServer, type RawData } from "ws";

type Pool = { query(query: string | object, values?: readonly unknown[]): Promise<{ rows: { ok: boolean }[] }> };
type Transfer = { readonly id: number; readonly from: number; readonly to: number; readonly amount: number };

const [clientDir = "", port = "", accounts = ""] = process.argv.slice(2);
const { Pool: PgPool } = createRequire(join(clientDir, "x.js"))("pg") as { Pool: new (options: object) => Pool };
const pool = new PgPool({ host: "127.0.0.1", port: Number(port), user: "bench", database: "postgres", max: 50 });
for (let tries = 100; ; tries--) {
  try {
    await pool.query("select 1");
    break;
  } catch (error) {
    if (tries === 0) throw error;
    await pause(100);
  }
}
await pool.query("create table account (id int primary key, balance bigint not null)");
await pool.query(`insert into account select i, 10000000 from generate_series(0, ${Number(accounts)} - 1) i`);
await pool.query("vacuum analyze account");
// Locks in order of number, so that two transfers never wait for each other.
await pool.query(`create function transfer(source int, target int, amount bigint) returns boolean language plpgsql as $$
declare available bigint;
begin
  perform 1 from account where id in (source, target) order by id for update;
  select balance into available from account where id = source;
  if available < amount then return false; end if;
  update account set balance = balance - amount where id = source;
  update account set balance = balance + amount where id = target;
  return true;
end $$`);

const server: WebSocketServer = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false }, () =>
  process.send?.({ url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}` }),
);
server.on("connection", (socket) =>
  socket.on("message", (data: RawData) => {
    const { id, from, to, amount } = JSON.parse((data as Buffer).toString()) as Transfer;
    const query = { name: "transfer", text: "select transfer($1, $2, $3) ok", values: [from, to, amount] };
    void pool.query(query).then(({ rows }) => socket.send(JSON.stringify({ id, ok: rows[0]?.ok })));
  }),
);
process.on("disconnect", () => process.exit(0));
