/** A control plane on the embedded engine, reached as in production: Convex's own client over a real socket. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ConvexClient } from "convex/browser";
import { openEngine } from "../../appliance/engine/engine.ts";
import { openKeys } from "../../appliance/secrets/keys.ts";
import { mintOwnerToken } from "../../appliance/secrets/token.ts";
import { openState, type OpenState } from "../../appliance/state.ts";
import { api } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import type { State } from "../../functions/ports/state.ts";
import type { Lab } from "../contracts/lab.ts";
import { keepBundled, takeBundled } from "./bundled.ts";

const nikaFunctionsDir = fileURLToPath(new URL("../../convex", import.meta.url));

/** In a folder of its own, gone when it is closed. */
export async function openEngineLab(): Promise<Lab> {
  const dir = await mkdtemp(join(tmpdir(), "nika-lab-"));
  const lab = await openEngineLabIn(dir);
  return {
    ...lab,
    async close() {
      await lab.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** On what an earlier one left in that folder, if anything. `functionsDir`: other functions than Nika's. */
export async function openEngineLabIn(dir: string, { functionsDir = nikaFunctionsDir } = {}): Promise<Lab> {
  await using opened = new AsyncDisposableStack();
  const keys = openKeys(dir);
  const server = createServer();
  let url = "";
  const engineDir = join(dir, "engine");
  takeBundled(engineDir);
  opened.defer(() => keepBundled(engineDir));
  const engine = await openEngine({
    dir: engineDir,
    functionsDir,
    env: { NIKA_JWKS: keys.jwksUrl },
    adminKey: keys.adminKey,
    origin: () => url,
    log: () => {},
  });
  opened.defer(() => engine.close());
  server.on("request", (request, response) => void engine.handle(request, response));
  server.on("upgrade", (request, socket, head) => void engine.upgrade(request, socket, head));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  opened.defer(() => void server.close());
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const state = openState({ url, adminKey: keys.adminKey });
  opened.defer(() => state.close());
  const clients: ConvexClient[] = [];
  opened.defer(async () => void (await Promise.all(clients.map((client) => client.close()))));
  const connect = (authenticate: (client: ConvexClient) => void): State => {
    const client = new ConvexClient(url, { unsavedChangesWarning: false, logger: false });
    authenticate(client);
    clients.push(client);
    return asState(client);
  };
  const as = (subject: string | undefined): State =>
    connect((client) => {
      if (subject === undefined) return;
      const identity = { subject, issuer: "https://nika.internal", tokenIdentifier: `https://nika.internal|${subject}` };
      (client as unknown as { setAdminAuth(key: string, actingAs: object): void }).setAdminAuth(keys.adminKey, identity);
    });
  const owner = connect((client) => client.setAuth(async () => mintOwnerToken(keys.signing, Date.now()).token));
  const closing = opened.move();
  return {
    ...state,
    owner,
    as,
    upload: (content) => upload(owner, content),
    close: () => closing.disposeAsync(),
  };
}

function asState(client: ConvexClient): State {
  const { query, mutation, onUpdate } = client as unknown as Record<
    "query" | "mutation" | "onUpdate",
    (...args: unknown[]) => never
  >;
  return { query: query.bind(client), mutation: mutation.bind(client), watch: onUpdate.bind(client) } satisfies Omit<
    OpenState,
    "close"
  >;
}

async function upload(owner: State, content: string): Promise<Id<"_storage">> {
  const url = await owner.mutation(api.documents.uploadUrl, {});
  const response = await fetch(url, { method: "POST", headers: { "content-type": "text/plain" }, body: content });
  assert.equal(response.status, 200, await response.clone().text());
  return ((await response.json()) as { storageId: Id<"_storage"> }).storageId;
}
