/** What the page asks of the builder: a plan for a document that was pasted or opened, and the server that the owner then agrees to. */
import { NikaError } from "../../../convex/model/error.ts";
import type { Sandboxes } from "../../../functions/ports/sandboxes.ts";

type Body = Readonly<Record<string, unknown>>;
export type Builder = {
  /** Undefined for a verb that is none of these. Nothing is fetched for the page: the owner's browser brings the document. */
  answer(verb: string, body: Body, signal: AbortSignal): Promise<object> | undefined;
};
export type BuilderOptions = { readonly dataDir: string; readonly sharedFile: string; readonly sandboxes: Sandboxes | undefined };

export function openBuilder({ dataDir, sharedFile, sandboxes }: BuilderOptions): Builder {
  return {
    answer(verb, body, signal) {
      if (verb === "plan") return plan(body);
      if (verb === "build") return make(body, signal);
      return undefined;
    },
  };

  // What reads documents is a hundred modules, and few ever make a server: it is loaded when somebody does.
  async function plan(body: Body): Promise<object> {
    const [{ planFor }, { toHanded }] = await Promise.all([import("./build.ts"), import("./source.ts")]);
    return planFor(toHanded(textOf(body, "text") ?? "", textOf(body, "from")?.slice(0, 200) ?? "the page"), {
      name: textOf(body, "name"),
      server: textOf(body, "server"),
    });
  }

  async function make(body: Body, signal: AbortSignal): Promise<object> {
    const [{ build }, { readPlan }] = await Promise.all([import("./build.ts"), import("./planFile.ts")]);
    return build(readPlan(JSON.stringify(body["plan"] ?? {})), {
      dataDir,
      sharedFile,
      sandboxes,
      withSkill: body["withSkill"] === true,
      isReplacing: body["isReplacing"] === true,
      step: () => undefined,
      signal,
    });
  }
}

function textOf(body: Body, key: string): string | undefined {
  const value = body[key];
  if (value !== undefined && typeof value !== "string") throw new NikaError("invalid", `"${key}" must be a text.`);
  return value === undefined || value.trim() === "" ? undefined : value;
}
