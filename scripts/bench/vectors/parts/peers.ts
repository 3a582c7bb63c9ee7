/** Other vector stores, installed beside the project and not into it: they are native, large, and only measured against. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

const packages = ["@lancedb/lancedb@0.39.0", "@zvec/zvec@0.7.0", "sqlite-vec@0.1.9"];
const home = join(homedir(), ".cache", "nika", "bench-vector-peers");

export type Data = { readonly floats: Float32Array; readonly dimensions: number; readonly groups: Uint8Array };
export type Peer = {
  readonly name: string;
  /** Ids of the `k` nearest; of one group when given. */
  find(query: Float32Array, k: number, group?: number): Promise<number[]> | number[];
  close(): void;
};

/** Requires from the peers' folder; undefined when they cannot be installed here. */
export function peersRequire(): NodeJS.Require | undefined {
  if (!existsSync(join(home, "complete"))) {
    rmSync(home, { recursive: true, force: true });
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, "package.json"), "{}");
    const args = ["install", "--prefix", home, "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", ...packages];
    const { status } = spawnSync("npm", args, { stdio: ["ignore", "ignore", "inherit"] });
    if (status !== 0) return undefined;
    writeFileSync(join(home, "complete"), "");
  }
  return createRequire(join(home, "package.json"));
}

const each = function* ({ floats, dimensions }: Data): Generator<[number, Float32Array]> {
  for (let i = 0; i * dimensions < floats.length; i++) yield [i, floats.subarray(i * dimensions, (i + 1) * dimensions)];
};

// The peers' own types would come with their packages, which are not here when this is checked; the little that is used is written out.

type Lance = {
  connect(dir: string): Promise<{ createTable(name: string, rows: object[]): Promise<LanceTable> }>;
  Index: { hnswSq(options: object): unknown };
};
type LanceTable = {
  add(rows: object[]): Promise<void>;
  createIndex(column: string, options: object): Promise<void>;
  waitForIndex(names: string[], seconds: number): Promise<void>;
  optimize(): Promise<void>;
  vectorSearch(query: Float32Array): LanceSearch;
};
type LanceSearch = {
  distanceType(name: string): LanceSearch;
  where(sql: string): LanceSearch;
  select(columns: string[]): LanceSearch;
  limit(k: number): LanceSearch;
  ef(ef: number): LanceSearch;
  refineFactor(factor: number): LanceSearch;
  toArray(): Promise<{ id: number }[]>;
};

/** HNSW over int8, its candidates scored again: LanceDB's fastest exact-looking setting in the research. */
export async function lance(load: NodeJS.Require, dir: string, data: Data): Promise<Peer> {
  const { connect, Index } = load("@lancedb/lancedb") as Lance;
  const db = await connect(dir);
  let table: LanceTable | undefined;
  let rows: object[] = [];
  const flush = async (): Promise<void> => {
    if (table) await table.add(rows);
    else table = await db.createTable("t", rows);
    rows = [];
  };
  for (const [id, vector] of each(data)) {
    rows.push({ id, grp: data.groups[id], vector: Array.from(vector) });
    if (rows.length === 10_000) await flush();
  }
  if (rows.length > 0) await flush();
  const config = Index.hnswSq({ distanceType: "cosine", m: 16, efConstruction: 128, numPartitions: 1 });
  await table!.createIndex("vector", { config });
  await table!.waitForIndex(["vector_idx"], 300);
  return {
    name: "LanceDB HNSW-SQ",
    async find(query, k, group) {
      let search = table!.vectorSearch(query).distanceType("cosine").select(["id"]).limit(k).ef(64).refineFactor(2);
      if (group !== undefined) search = search.where(`grp = ${group}`);
      return (await search.toArray()).map(({ id }) => id);
    },
    close: () => undefined,
  };
}

type Zvec = {
  ZVecInitialize(options: object): void;
  ZVecCollectionSchema: new (options: object) => object;
  ZVecCreateAndOpen(dir: string, schema: object): ZvecCollection;
};
type ZvecCollection = {
  insertSync(docs: object[]): { ok: boolean; message: string }[];
  optimizeSync(options: object): { ok: boolean; message: string } | undefined;
  querySync(query: object): { id: string }[];
};

// The numbers of zvec's enumerations: HNSW, inner product, 32-bit floats, 32-bit integers, inverted index.
const zvecNames = { hnsw: 1, innerProduct: 2, floats: 23, integers: 4, inverted: 10 };

export function zvec(load: NodeJS.Require, dir: string, data: Data): Peer {
  const { ZVecInitialize, ZVecCollectionSchema, ZVecCreateAndOpen } = load("@zvec/zvec") as Zvec;
  ZVecInitialize({ logLevel: 3, queryThreads: 1, optimizeThreads: 2 });
  const index = { indexType: zvecNames.hnsw, metricType: zvecNames.innerProduct, m: 16, efConstruction: 128 };
  const vectors = { name: "emb", dataType: zvecNames.floats, dimension: data.dimensions, indexParams: index };
  const fields = [{ name: "grp", dataType: zvecNames.integers, indexParams: { indexType: zvecNames.inverted } }];
  const collection = ZVecCreateAndOpen(dir, new ZVecCollectionSchema({ name: "bench", vectors, fields }));
  let docs: object[] = [];
  const flush = (): void => {
    for (const { ok, message } of collection.insertSync(docs)) if (!ok) throw new Error(message);
    docs = [];
  };
  for (const [id, vector] of each(data)) {
    docs.push({ id: String(id), vectors: { emb: vector }, fields: { grp: data.groups[id] } });
    if (docs.length === 500) flush();
  }
  if (docs.length > 0) flush();
  const optimized = collection.optimizeSync({ concurrency: 2 });
  if (optimized && !optimized.ok) throw new Error(optimized.message);
  return {
    name: "zvec HNSW",
    find(query, k, group) {
      const filter = group === undefined ? {} : { filter: `grp = ${group}` };
      const params = { indexType: zvecNames.hnsw, ef: 64 };
      const found = collection.querySync({ fieldName: "emb", vector: query, topk: k, outputFields: [], params, ...filter });
      return found.map(({ id }) => Number(id));
    },
    close: () => undefined,
  };
}

export function sqliteVec(load: NodeJS.Require, dir: string, data: Data): Peer {
  const { getLoadablePath } = load("sqlite-vec") as { getLoadablePath(): string };
  const db = new DatabaseSync(join(dir, "vec.db"), { allowExtension: true });
  db.loadExtension(getLoadablePath());
  db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -262144");
  db.exec(`CREATE VIRTUAL TABLE v USING vec0(emb float[${data.dimensions}] distance_metric=cosine, grp integer)`);
  const insert = db.prepare("INSERT INTO v (rowid, emb, grp) VALUES (?, ?, ?)");
  db.exec("BEGIN");
  for (const [id, vector] of each(data))
    insert.run(BigInt(id), new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength), BigInt(data.groups[id]!));
  db.exec("COMMIT");
  const all = db.prepare("SELECT rowid FROM v WHERE emb MATCH ? AND k = ?");
  const some = db.prepare("SELECT rowid FROM v WHERE emb MATCH ? AND k = ? AND grp = ?");
  return {
    name: "sqlite-vec",
    find(query, k, group) {
      const bytes = new Uint8Array(query.buffer, query.byteOffset, query.byteLength);
      const rows = group === undefined ? all.all(bytes, k) : some.all(bytes, k, BigInt(group));
      return rows.map((row) => Number(row["rowid"]));
    },
    close: () => db.close(),
  };
}
