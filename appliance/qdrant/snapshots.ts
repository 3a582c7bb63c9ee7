/** Every collection of a Qdrant, or of the embedded store, as files in a folder, and back. The two cannot read each other's files. */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, openAsBlob } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { NikaError } from "../../convex/model/error.ts";
import { connect } from "./connect.ts";

export type Server = { readonly url: string; readonly apiKey?: string };
type Saved = { readonly collection: string; readonly file: string; readonly sha256: string };
type Contents = {
  readonly version: string;
  readonly collections: readonly Saved[];
  readonly aliases: readonly { readonly alias_name: string; readonly collection_name: string }[];
};

const contentsName = "contents.json";

/**
 * Saves all collections and the names of aliases into `dir`, which is made. The list is written last: a folder without it is not whole.
 * On the server nothing is left behind.
 */
export async function saveSnapshots(server: Server, dir: string): Promise<number> {
  const client = await connect(server);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const { collections } = await client.getCollections();
  const saved: Saved[] = [];
  for (const [i, { name }] of collections.entries()) {
    const snapshot = await client.createSnapshot(name, { wait: true });
    if (!snapshot) throw new NikaError("unavailable", `The vector store made no snapshot of "${name}".`);
    const file = `${i}.snapshot`;
    const path = `/collections/${encodeURIComponent(name)}/snapshots/${encodeURIComponent(snapshot.name)}`;
    const answer = await fetch(server.url + path, { headers: headersOf(server) });
    if (!answer.ok || !answer.body) throw new NikaError("unavailable", `The snapshot of "${name}" could not be fetched.`);
    await pipeline(Readable.fromWeb(answer.body), createWriteStream(join(dir, file), { mode: 0o600, flush: true }));
    const sha256 = await sumOf(join(dir, file));
    if (snapshot.checksum != null && snapshot.checksum !== sha256)
      throw new NikaError("unavailable", `The snapshot of "${name}" was damaged on its way.`);
    saved.push({ collection: name, file, sha256 });
    await client.deleteSnapshot(name, snapshot.name);
  }
  const { aliases } = await client.getAliases();
  const { version } = (await (await fetch(server.url)).json()) as { version: string };
  const contents: Contents = { version, collections: saved, aliases };
  await writeFile(join(dir, `${contentsName}.new`), JSON.stringify(contents, null, 2), { mode: 0o600, flush: true });
  await rename(join(dir, `${contentsName}.new`), join(dir, contentsName));
  return saved.length;
}

/** Puts back what `saveSnapshots` saved, in the place of collections of the same names. Others are left alone. */
export async function restoreSnapshots(server: Server, dir: string): Promise<number> {
  const client = await connect(server);
  const contents = JSON.parse(await readFile(join(dir, contentsName), "utf8")) as Contents;
  for (const { collection, file, sha256 } of contents.collections) {
    if ((await sumOf(join(dir, file))) !== sha256)
      throw new NikaError("unreadable", `The saved collection "${collection}" is damaged; take another backup.`);
    const form = new FormData();
    form.append("snapshot", await openAsBlob(join(dir, file)), file);
    const path = `/collections/${encodeURIComponent(collection)}/snapshots/upload?priority=snapshot&wait=true`;
    const answer = await fetch(server.url + path, { method: "POST", headers: headersOf(server), body: form });
    if (!answer.ok)
      throw new NikaError(
        "conflict",
        `The vector store did not take "${collection}" back: ${(await answer.text()).slice(0, 300)}`,
      );
  }
  const actions = contents.aliases.map(({ alias_name, collection_name }) => ({ create_alias: { alias_name, collection_name } }));
  if (actions.length > 0) await client.updateCollectionAliases({ actions });
  return contents.collections.length;
}

const headersOf = ({ apiKey }: Server): Record<string, string> => (apiKey === undefined ? {} : { "api-key": apiKey });

async function sumOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}
