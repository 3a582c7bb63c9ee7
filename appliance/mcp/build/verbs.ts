/** What the page asks of the builder: a plan for a document that was pasted or opened, and the server that the owner then agrees to. */
import { NikaError } from "../../../convex/model/error.ts";
import type { Sandboxes } from "../../../functions/ports/sandboxes.ts";
import { build, planFor } from "./build.ts";
import { readPlan } from "./planFile.ts";
import { toHanded } from "./source.ts";

export type Builder = {
  /** Undefined for a verb that is none of these. Nothing is fetched for the page: the owner's browser brings the document. */
  answer(verb: string, body: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<object> | undefined;
};
export type BuilderOptions = { readonly dataDir: string; readonly sharedFile: string; readonly sandboxes: Sandboxes | undefined };

export function openBuilder({ dataDir, sharedFile, sandboxes }: BuilderOptions): Builder {
  return {
    answer(verb, body, signal) {
      const textIn = (key: string): string | undefined => {
        const value = body[key];
        if (value !== undefined && typeof value !== "string") throw new NikaError("invalid", `"${key}" must be a text.`);
        return value === undefined || value.trim() === "" ? undefined : value;
      };
      if (verb === "plan")
        return planFor(toHanded(textIn("text") ?? "", textIn("from")?.slice(0, 200) ?? "the page"), {
          name: textIn("name"),
          server: textIn("server"),
        });
      if (verb !== "build") return undefined;
      return build(readPlan(JSON.stringify(body["plan"] ?? {})), {
        dataDir,
        sharedFile,
        sandboxes,
        withSkill: body["withSkill"] === true,
        isReplacing: body["isReplacing"] === true,
        step: () => undefined,
        signal,
      });
    },
  };
}
