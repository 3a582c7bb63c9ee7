/** A vault that can be moved, as the appliance has it, with made texts and made embedders: what the drill of migrations fills and kills. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { QdrantClient } from "@qdrant/js-client-rest";
import { ConvexHttpClient } from "convex/browser";
import { openEngine } from "../../appliance/engine/engine.ts";
import { qdrantVectors, type QdrantVectors } from "../../appliance/qdrant/vectors.ts";
import { openKeys } from "../../appliance/secrets/keys.ts";
import { mintToken } from "../../appliance/secrets/token.ts";
import { openState } from "../../appliance/state.ts";
import { startVectors } from "../../appliance/vectors/vectors.ts";
import type { Answer } from "../../convex/model/answer.ts";
import { ownerTenant } from "../../convex/model/tenant.ts";
import type { Ports } from "../../functions/define.ts";
import { deployModel } from "../../functions/models/deploy.ts";
import { dropModel } from "../../functions/models/drop.ts";
import { rollBackModel } from "../../functions/models/rollback.ts";
import type { Spaces } from "../../functions/ports/spaces.ts";
import type { State } from "../../functions/ports/state.ts";
import type { PassagePoint } from "../../functions/ports/vectors.ts";
import { startRuntime } from "../../functions/runtime/runtime.ts";
import { findPassages } from "../../functions/vault/find.ts";
import { textToEmbed } from "../../ml/embed/textToEmbed.ts";
import { indexed } from "../../ml/retrieve/terms.ts";
import { random, type Random } from "../../tests/appliance/vectors/random.ts";
import { madeEmbedders, recordOf } from "../../tests/fakes/embedders.ts";

const apiKey = "drill";
const never = new AbortController().signal;

export type DrillVault = {
  readonly state: State;
  /** The control plane as its owner reaches it. */
  readonly owner: ConvexHttpClient;
  readonly vectors: QdrantVectors;
  readonly qdrant: QdrantClient;
  readonly embedders: ReturnType<typeof madeEmbedders>;
  ask(question: string): Promise<Answer>;
  close(): Promise<void>;
};

/** Where a process may be told to die. */
export type Place =
  | "prepare"
  | "prepared"
  | "copy"
  | "copied"
  | "compare"
  | "sample"
  | "switch"
  | "switched"
  | "point"
  | "pointed"
  | "drop";
export const places: readonly Place[] = [
  "prepare",
  "prepared",
  "copy",
  "copied",
  "compare",
  "sample",
  "switch",
  "switched",
  "point",
  "pointed",
  "drop",
];

/** Opens everything in this process. `at` is called where it may die, and `turn` awaited before each page of a move. */
export async function openDrillVault(
  dir: string,
  at: (place: Place) => void = () => undefined,
  turn: (signal: AbortSignal) => Promise<void> = async () => undefined,
): Promise<DrillVault> {
  await using opened = new AsyncDisposableStack();
  const keys = openKeys(dir);
  const store = await startVectors({ dir: join(dir, "vectors"), apiKey, host: "127.0.0.1", log: console.error });
  opened.defer(() => store.close());
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  opened.defer(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const engine = await openEngine({
    dir: join(dir, "engine"),
    functionsDir: fileURLToPath(new URL("../../convex", import.meta.url)),
    env: { NIKA_JWKS: keys.jwksUrl },
    adminKey: keys.adminKey,
    origin: () => url,
    log: () => {},
  });
  opened.defer(() => engine.close());
  server.on("request", (request, response) => void engine.handle(request, response));
  server.on("upgrade", (request, socket, head) => void engine.upgrade(request, socket, head));
  const open = openState({ url, adminKey: keys.adminKey, near: engine });
  opened.defer(() => open.close());
  const state: State = {
    ...open,
    async mutation(f, args) {
      const isSwitch = Object.keys(args).join() === "generationId";
      if (isSwitch) at("switch");
      const answer = await open.mutation(f, args);
      if ("total" in args) at("prepared");
      if ("cursor" in args && "done" in args) at("copied");
      if (isSwitch && answer === "switched") at("switched");
      return answer;
    },
  };
  const owner = new ConvexHttpClient(url, { logger: false });
  owner.setAuth(mintToken(keys.signing, "owner", Date.now()).token);
  const embedders = madeEmbedders();
  const vectors = qdrantVectors({ url: store.url, apiKey, embedderId: embedders.old.id, record: recordOf(state, embedders) });
  const within =
    <Args extends readonly unknown[], R>(place: Place, work: (...args: Args) => Promise<R>) =>
    (...args: Args): Promise<R> => {
      const answer = work(...args);
      // While the store has it.
      at(place);
      return answer;
    };
  const inTurn =
    <R>(page: (cursor: string | null, signal: AbortSignal) => Promise<R>) =>
    async (cursor: string | null, signal: AbortSignal): Promise<R> => {
      await turn(signal);
      return page(cursor, signal);
    };
  const real = vectors.spaces;
  const spaces: Spaces = {
    ...real,
    find: embedders.find,
    prepare: within("prepare", real.prepare),
    copy: inTurn(within("copy", real.copy)),
    compare: inTurn(within("compare", real.compare)),
    sample: within("sample", real.sample),
    drop: within("drop", real.drop),
    point: async () => {
      await within("point", real.point)();
      at("pointed");
    },
  };
  const ports = { state, spaces } as unknown as Ports;
  const runtime = startRuntime({
    state,
    ports,
    functions: [deployModel, rollBackModel, dropModel],
    workerName: "appliance",
    slots: 2,
    log: () => {},
  });
  await runtime.start();
  opened.defer(() => runtime.stop({ graceMs: 1_000 }));
  const closing = opened.move();
  return {
    state,
    owner,
    vectors,
    embedders,
    qdrant: new QdrantClient({ url: store.url, headers: { "api-key": apiKey }, checkCompatibility: false }),
    ask: (question) =>
      findPassages({ tenantId, question, limit: 5 }, { vectors, embedder: embedders.old, embedders, reranker: undefined }, never),
    close: () => closing.disposeAsync(),
  };
}

export const tenantId = ownerTenant;

export const perDocument = 10;

/** As many words as a firm's papers have, the first ones common: by Zipf, with the exponent of `scripts/bench/vectors/words.ts`. */
const vocabulary = 30_000;
const shares = Float64Array.from({ length: vocabulary }, (_, rank) => 1 / (rank + 1) ** 1.07);
for (let rank = 1; rank < vocabulary; rank += 1) shares[rank]! += shares[rank - 1]!;
const syllables = Array.from("bcdfghjklmnprtvwxz").flatMap((letter) => Array.from("aeiou", (vowel) => letter + vowel));
/** Words that a slip of the pen can be told in, as real ones are; neighbours in rank are spelt unlike. */
const spelled = (rank: number): string => {
  const n = syllables.length;
  const place = (rank * 17_389) % vocabulary;
  const [first, second, third] = [place % n, Math.floor(place / n) % n, Math.floor(place / n / n)];
  return syllables[first]! + syllables[second]! + (third > 0 ? syllables[third]! : "");
};
/** Every word that a text may have. */
export const words: readonly string[] = Array.from({ length: vocabulary }, (_, rank) => spelled(rank));

function wordOf({ next }: Random): string {
  const drawn = next() * shares[vocabulary - 1]!;
  let [low, high] = [0, vocabulary - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (shares[middle]! < drawn) low = middle + 1;
    else high = middle;
  }
  return words[low]!;
}

const sentencesPerText = 6;
const sentenceOf = (from: Random): string => Array.from({ length: 8 + from.below(9) }, () => wordOf(from)).join(" ");
const sentencesOf = (n: number): string[] => {
  const from = random(n + 1);
  return Array.from({ length: sentencesPerText }, () => sentenceOf(from));
};

/** Three words of the `n`th passage, rare and common ones as they come. */
export function questionOf(n: number): string {
  const all = sentencesOf(n).join(" ").split(" ");
  const { below } = random(n + 1);
  return Array.from({ length: 3 }, () => all[below(all.length)]!).join(" ");
}

/** Texts of a document, each with a word that says of which version it is, and a sentence that other versions do not have. */
export function textsOf(name: string, version: number, count: number): string[] {
  const first = Number(name.slice(1)) * perDocument;
  return Array.from({ length: count }, (_, at) => {
    const n = first + (at % perDocument);
    const fresh = sentenceOf(random(n * 1_009 + version));
    return `Paragraph ${at} of ${name}q${version} says: ${[...sentencesOf(n), fresh].join(". ")}.`;
  });
}

export async function passagesOf(
  { embedders, vectors }: Pick<DrillVault, "embedders" | "vectors">,
  name: string,
  texts: readonly string[],
): Promise<PassagePoint[]> {
  const { embedderId } = await vectors.generation();
  const embedder = (await embedders.of(embedderId!))!;
  const made = texts.map((text) => textToEmbed({ title: name, place: {}, text }));
  const numbers = await embedder.passages(made, never);
  return texts.map((text, ordinal) => ({
    documentId: name,
    ordinal,
    vector: numbers[ordinal]!,
    embedderId: embedder.id,
    ...indexed(made[ordinal]!),
    documentName: `${name}.md`,
    title: name,
    text,
    place: {},
    language: "en",
    format: "markdown",
  }));
}
