/** `nika model`: what Nika may learn from how it is used. */
import { api } from "../../convex/_generated/api.js";
import { NikaError } from "../../convex/model/error.ts";
import type { Client } from "./client.ts";
import type { Terminal } from "./terminal.ts";
import { countOf } from "./text.ts";

export type ModelUseOptions = {
  readonly allow?: readonly string[];
  readonly nothing?: true;
  readonly erase?: true;
  readonly json: boolean;
};

export async function runModelUse(
  terminal: Terminal,
  client: Client,
  { allow, nothing, erase, json }: ModelUseOptions,
): Promise<void> {
  if (allow && nothing) throw new NikaError("invalid", "Give --allow or --nothing, not both.");
  const http = await client.http();
  if (allow) await http.mutation(api.uses.allow, { scopes: [...allow] });
  if (nothing) await http.mutation(api.uses.allow, { scopes: [] });
  if (erase) await http.mutation(api.uses.erase, {});
  const learning = await http.query(api.uses.get, {});
  if (json) return terminal.json({ ...learning, isErasing: erase === true });
  const { scopes, questions, reactions } = learning;
  terminal.line(
    scopes.length === 0
      ? "Nothing of your use is remembered; `nika model use --allow private` would."
      : `Use of ${scopes.join(", ")} documents is remembered, on this machine alone; \`nika model use --nothing\` ends that.`,
  );
  if (erase) terminal.line("What was remembered is being forgotten.");
  else
    terminal.line(`Remembered: ${countOf(questions, "question")}, ${countOf(reactions, "use of an answer", "uses of answers")}.`);
}
