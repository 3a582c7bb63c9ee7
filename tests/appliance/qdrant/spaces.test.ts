import { after } from "node:test";
import type { Space } from "../../../convex/model/generation.ts";
import { fusionDefault } from "../../../convex/model/model.ts";
import { qdrantVectors } from "../../../appliance/qdrant/vectors.ts";
import { spacesContract, type MovableVault } from "../../contracts/spaces.ts";
import { madeEmbedders } from "../../fakes/embedders.ts";
import { apiKey, openStore } from "../vectors/openStore.ts";

const store = await openStore();
after(() => store[Symbol.asyncDispose]());

spacesContract("Qdrant's client on the embedded store", async (): Promise<MovableVault> => {
  for (const { name } of (await store.client.getCollections()).collections) await store.client.deleteCollection(name);
  const embedders = madeEmbedders();
  const { old, fresh } = embedders;
  const record: { live: Space | null; beside: Space | null } = { live: null, beside: null };
  const vectors = qdrantVectors({
    url: store.url,
    apiKey,
    embedderId: old.id,
    record: {
      read: async () => ({ ...record }),
      adopt: async (found) => {
        record.live = { ...found, generationId: found.collection as Space["generationId"], fusion: fusionDefault };
        return record.live;
      },
      lose: async () => {
        record.beside = null;
      },
      watch: () => undefined,
      embedder: (id) => embedders.of(id),
    },
  });
  return { vectors, spaces: { ...vectors.spaces, find: embedders.find }, old, fresh, record };
});
