import { internal } from "../../convex/_generated/api.js";
import { installSteps, type InstallStep } from "../../convex/model/install.ts";
import { defineFunction } from "../define.ts";

/** Installs an MCP server as its owner wished. Done again, it finds what is there already and does the rest. */
export const installServer = defineFunction({
  kind: "servers.install",
  needs: ["state", "servers"],
  run: async ({ args: { installId }, signal, progress }, { state, servers }) => {
    const wish = await state.query(internal.installs.wish, { installId });
    if (!wish) return { type: "done" };
    if (!servers) return { type: "failed", code: "unavailable", message: "This worker holds no MCP servers.", retry: false };
    let telling: Promise<unknown> = Promise.resolve();
    const step = (at: InstallStep, note: string): void => {
      progress(installSteps.indexOf(at), installSteps.length - 1);
      // In their order, and nobody waits for them.
      telling = telling.then(() => state.mutation(internal.installs.told, { installId, step: at, note })).catch(() => undefined);
    };
    const result = await servers.install(wish, { signal, step });
    await telling;
    await state.mutation(internal.installs.told, { installId, step: "done", note: "", result });
    const waits = result.waiting > 0 ? ` ${result.waiting} of its tools and prompts wait for your approval.` : "";
    return {
      type: "done",
      result: { type: "said", text: `${result.name} ${result.version} is installed as ${result.alias}.${waits}` },
    };
  },
});
