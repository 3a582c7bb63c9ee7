import { internal } from "../../convex/_generated/api.js";
import { codes, toNikaError } from "../../convex/model/error.ts";
import { defineFunction } from "../define.ts";

/** Copies what is new in a registry of MCP servers, if it is still turned on. What was copied before a failure stays. */
export const mirrorServers = defineFunction({
  kind: "servers.mirror",
  needs: ["state", "servers", "clock"],
  run: async ({ args: { registry: name }, signal, progress }, { state, servers, clock }) => {
    const known = await state.query(internal.registries.known, {});
    if (!servers) return { type: "failed", code: "unavailable", message: "This worker holds no MCP servers.", retry: false };
    servers.retain(known);
    const registry = known.find((one) => one.name === name && one.isOn && one.type === "mcp");
    if (!registry) return { type: "done" };
    try {
      const { servers: count } = await servers.copy(registry, { signal, progress: (seen) => progress(seen, Math.max(seen, 1)) });
      await state.mutation(internal.registries.copied, { name, url: registry.url, at: clock.now(), servers: count });
      return { type: "done", result: { type: "said", text: `${count} servers of ${name} are known here.` } };
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      const { code, message } = toNikaError(thrown);
      await state.mutation(internal.registries.failed, { name, url: registry.url, problem: message });
      if (code === "bug") throw thrown;
      const retryAfterMs = servers.retryAfterOf(thrown);
      return { type: "failed", code, message, retry: codes[code].retry, ...(retryAfterMs !== undefined && { retryAfterMs }) };
    }
  },
});
