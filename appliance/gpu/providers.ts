/**
 * Who lets machines, by name: each is loaded when it is first spoken to, and finds its credentials in the store of secrets, under `gpu.NAME`, as
 * one JSON object of texts.
 */
import { NikaError } from "../../convex/model/error.ts";
import { providers, type Offer, type ProviderId } from "../../convex/model/gpu.ts";
import { ProviderError, type Provider, type Providers } from "../../functions/ports/gpu.ts";
import type { Secrets } from "../../functions/ports/secrets.ts";

type Credentials = Readonly<Record<string, string>>;
type Opening = { readonly credentials: Credentials; readonly installId: string; readonly now: () => number };

/** What each is reached with: names of the fields that must be there; a name that ends with "?" need not. */
type Kind = { readonly wants: readonly string[]; readonly open: (opening: Opening) => Promise<Provider> };

export type ProviderKinds = Readonly<Partial<Record<ProviderId, Kind>>>;

const secretOf = (id: ProviderId): string => `gpu.${id}`;
const reader = "rented machines";

export type ProviderBook = Providers & {
  wants(id: ProviderId): readonly string[];
  isSetUp(id: ProviderId): Promise<boolean>;
  /** Fails with `invalid` when a field is missing or is none of its. */
  keep(id: ProviderId, credentials: Credentials): Promise<void>;
  forget(id: ProviderId): Promise<void>;
  /** Reads which are set up; before that only those of this house are. */
  refresh(): Promise<void>;
};

export type BookOptions = {
  readonly installId: string;
  readonly secrets: Secrets;
  readonly now: () => number;
  /** Those that need no credentials. */
  readonly own: Readonly<Partial<Record<ProviderId, () => Promise<Provider>>>>;
  readonly kinds: ProviderKinds;
  /** What could not reach this appliance is not offered. */
  readonly isReached?: (offer: Offer) => boolean;
};

export function openProviders({ installId, secrets, now, own, kinds, isReached }: BookOptions): ProviderBook {
  let setUp: readonly ProviderId[] = providers.filter((id) => own[id]);
  const opened = new Map<ProviderId, Promise<Provider>>();

  async function open(id: ProviderId): Promise<Provider> {
    const mine = own[id];
    if (mine) return mine();
    const kind = kinds[id];
    const text = kind && (await secrets.find(secretOf(id), reader));
    if (!kind || text === undefined)
      throw new ProviderError({
        kind: "missing",
        scope: "provider",
        says: `${id} is not set up; see \`nika gpu connect ${id}\`.`,
      });
    const provider = await kind.open({ credentials: JSON.parse(text) as Credentials, installId, now });
    if (!isReached) return provider;
    return { ...provider, offers: async (need, signal) => (await provider.offers(need, signal)).filter(isReached) };
  }

  const book: ProviderBook = {
    installId,
    list: () => setUp,
    open(id) {
      let found = opened.get(id);
      if (!found) {
        found = open(id);
        opened.set(id, found);
        found.catch(() => opened.delete(id));
      }
      return found;
    },
    wants: (id) => kinds[id]?.wants ?? [],
    isSetUp: async (id) => own[id] !== undefined || (await secrets.find(secretOf(id), reader)) !== undefined,
    async keep(id, credentials) {
      const { wants = [] } = kinds[id] ?? {};
      const names = new Set(wants.map((name) => name.replace("?", "")));
      const lacking = wants.filter((name) => !name.endsWith("?") && (credentials[name] ?? "") === "");
      if (lacking.length > 0)
        throw new NikaError(
          "invalid",
          `${id} needs ${lacking.join(", ")}${Object.keys(credentials).length > 0 ? " too" : ""}; docs/gpuProviders.md says where they come from.`,
        );
      const strange = Object.keys(credentials).find((name) => !names.has(name));
      if (strange !== undefined)
        throw new NikaError("invalid", `"${strange}" means nothing to ${id}; it takes ${[...names].join(", ")}.`);
      await secrets.set(secretOf(id), JSON.stringify(credentials), reader);
      opened.delete(id);
      await book.refresh();
    },
    async forget(id) {
      await secrets.remove(secretOf(id), reader);
      opened.delete(id);
      await book.refresh();
    },
    async refresh() {
      const names = new Set((await secrets.list()).map(({ name }) => name));
      setUp = providers.filter((id) => own[id] ?? (kinds[id] && names.has(secretOf(id))));
    },
  };
  return book;
}
