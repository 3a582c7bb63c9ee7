import assert from "node:assert/strict";
import { test } from "node:test";
import { rank } from "../../../functions/machines/offers.ts";
import type { Provider, Providers } from "../../../functions/ports/gpu.ts";
import { offerAt, openPlain } from "../../fakes/gpu/plain.ts";
import { openFakeState } from "../../fakes/state.ts";

test("what is in use now may be quoted where it is the owner's own, and is given to nobody as long as it is", async () => {
  const now = Date.UTC(2026, 10, 22);
  const { provider: plain } = openPlain({ now: () => now });
  const full = (id: "local" | "scaleway"): Provider => ({
    ...plain,
    id,
    offers: async () => [{ ...offerAt("scaleway", "zone-1", now, 0), provider: id, stock: "none" }],
  });
  const ask = { need: {}, runMsMax: 3_600_000 };
  for (const [id, count] of [
    ["local", 1],
    ["scaleway", 0],
  ] as const) {
    const providers: Providers = { installId: "drill000", list: () => [id], open: async () => full(id) };
    const weighing = { state: openFakeState(), providers, now, signal: AbortSignal.timeout(10_000) };
    assert.equal((await rank(ask, weighing)).choices.length, 0);
    assert.equal((await rank(ask, { ...weighing, mayWait: true })).choices.length, count);
  }
});
