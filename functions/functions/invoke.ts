import { internal } from "../../convex/_generated/api.js";
import type { Id } from "../../convex/_generated/dataModel.js";
import { inlineCharsMax, inputBytesMax } from "../../convex/model/userFunction.ts";
import { defineFunction } from "../define.ts";
import { openTeller } from "./tell.ts";

/** Where there are no functions of the owner's, another worker has them. */
const elsewhereMs = 2_000;

/** Runs a function that the owner wrote. What it says is kept as it comes; what came of it is kept by the settling of this job. */
export const invokeFunction = defineFunction({
  kind: "functions.invoke",
  needs: ["state", "files", "userFunctions"],
  run: async ({ args: { invocationId: id }, attempt, signal, progress }, { state, files, userFunctions }) => {
    if (!userFunctions) return { type: "snoozed", delayMs: elsewhereMs };
    const run = await state.query(internal.functions.forRun, { id });
    // The function was removed since, and its runs with it.
    if (!run) return { type: "done" };
    const input =
      run.inputUrl === undefined
        ? (run.input ?? "null")
        : Buffer.from(await files.read(run.inputUrl, { bytesMax: inputBytesMax, signal })).toString("utf8");
    signal.throwIfAborted();
    const teller = openTeller((text) => state.mutation(internal.functions.say, { id, attempt, text }));
    // A try that says nothing still takes the place of the one before.
    if (attempt > 1) teller.say("");
    try {
      const reply = await userFunctions.call({
        name: run.name,
        input,
        about: { id, attempt, trigger: run.trigger },
        signal,
        onLog: teller.say,
        onProgress: progress,
      });
      if (reply.type === "failed") {
        const { code, message } = reply;
        return { type: "failed", code, message, retry: reply.retry && attempt < userFunctions.attemptsMax(run.name) };
      }
      const { output, facts } = reply;
      if (output.length <= inlineCharsMax) return { type: "done", result: { type: "invoked", output, facts } };
      const url = await state.mutation(internal.sources.uploadUrl, {});
      const outputId = (await files.write(url, Buffer.from(output), { signal })) as Id<"_storage">;
      return { type: "done", result: { type: "invoked", outputId, facts } };
    } finally {
      await teller.close();
    }
  },
});
