import { internal } from "../../convex/_generated/api.js";
import type { CreateResult, Failure } from "../../convex/model/gpu.ts";
import { defineFunction } from "../define.ts";
import { ProviderError, type Provider } from "../ports/gpu.ts";
import { forgetOffers } from "./offers.ts";

/** Asks for a machine that is written down: once, or again under the same token where its provider keeps it. */
export const createMachine = defineFunction({
  kind: "machines.create",
  needs: ["state", "providers", "boots"],
  run: async ({ args: { machineId }, signal }, { state, providers, boots }) => {
    if (!providers || !boots) return { type: "failed", code: "unavailable", message: "This worker rents nothing.", retry: false };
    const { installId } = providers;
    const intent = await state.mutation(internal.machines.asking, { machineId });
    if (!intent) return { type: "done" };
    const { name, key, token, epoch, deadline, offer, diskMb, ask } = intent;
    let provider: Provider;
    let result: CreateResult;
    try {
      provider = await providers.open(offer.provider);
      const image = ask?.image;
      const endKey = await provider.endKey?.({ name, deadline }, signal);
      const extra = { ...(image !== undefined && { image }), ...(endKey !== undefined && { endKey }) };
      const { secretHash, ...start } = await boots.of({ key, epoch, deadline, offer, ...extra });
      await state.mutation(internal.machineBeats.setSecret, { machineId, secretHash });
      signal.throwIfAborted();
      const wanted = { name, installId, machineId: key, token, deadline, offer, diskMb, ...start };
      result = await asked(provider, wanted, signal);
      forgetOffers(providers, offer.provider);
    } catch (error) {
      signal.throwIfAborted();
      // Nobody was asked yet.
      result = { type: "failed", failure: failureOf(error, "invalid") };
    }
    // Unless this lease is lost: then whoever has the next one finds out.
    if (signal.aborted) return { type: "failed", code: "cancelled", message: "It was interrupted.", retry: true };
    const { type } = result;
    await state.mutation(internal.machines.asked, {
      machineId,
      result:
        type === "created"
          ? { type, observed: result.observed }
          : type === "failed"
            ? { type, failure: result.failure }
            : { type, failure: result.failure, ...(result.ref && { ref: result.ref }) },
    });
    return { type: "done" };
  },
});

/** Whatever is thrown while asking leaves open whether it exists. */
async function asked(provider: Provider, intent: Parameters<Provider["create"]>[0], signal: AbortSignal): Promise<CreateResult> {
  try {
    return await provider.create(intent, signal);
  } catch (error) {
    return { type: "unknown", failure: failureOf(error, "transient") };
  }
}

export function failureOf(error: unknown, kind: Failure["kind"]): Failure {
  if (error instanceof ProviderError) return error.failure;
  const says = error instanceof Error ? error.message.slice(0, 300) : "It did not answer.";
  return { kind, scope: "provider", says };
}
