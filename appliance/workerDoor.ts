/** The door for workers of other machines, joined with what they need to know of this one: its vault's spaces and the models that made them. */
import type { Embedder } from "../functions/ports/embedder.ts";
import type { State } from "../functions/ports/state.ts";
import type { Vectors } from "../functions/ports/vectors.ts";
import type { Config } from "./config.ts";
import { openModelShelf } from "./embedder/shelf.ts";
import type { Generations } from "./generations.ts";
import { openDoor } from "./join/door.ts";
import { workerRoutes } from "./join/routes.ts";
import type { Log } from "./log.ts";
import type { SigningKey } from "./secrets/token.ts";

export type WorkerDoorOptions = {
  readonly config: Pick<Config, "version" | "models">;
  readonly state: State;
  readonly signing: SigningKey;
  readonly convexUrl: string | undefined;
  /** What themes and captions are compared by. */
  readonly embedder: Embedder;
  readonly vault: Pick<Vectors, "generation">;
  readonly generations: Generations;
  readonly log: Log;
};

export function openWorkerDoor({ config, state, signing, convexUrl, embedder, vault, generations, log }: WorkerDoorOptions) {
  const door = openDoor({
    state,
    signing,
    version: config.version,
    convexUrl,
    embedderId: async () => {
      // Who joins makes no vault: it has to be there, and to stand in the record.
      await vault.generation().catch((error: unknown) => log(`vectors: a worker joins, and the vault is away: ${String(error)}`));
      return embedder.id;
    },
    now: () => Date.now(),
  });
  const models = openModelShelf({
    modelsDir: config.models.dir,
    inUse: async () => {
      const { live, beside } = await generations.record.read();
      return [embedder, live, beside].flatMap((one) => (one === null ? [] : "id" in one ? one.id : one.embedderId));
    },
  });
  return workerRoutes({ door, models });
}
