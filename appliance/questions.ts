/** What may be asked of the vault over HTTP: answered by the function itself, and remembered where the owner allowed it. */
import { internal } from "../convex/_generated/api.js";
import type { Answer } from "../convex/model/answer.ts";
import { ownerTenant } from "../convex/model/tenant.ts";
import type { Ports } from "../functions/define.ts";
import { runCall } from "../functions/runtime/call.ts";
import { askVault } from "../functions/vault/ask.ts";
import { openVault } from "../functions/vault/open.ts";
import { searchPictures } from "../functions/vault/pictures.ts";
import { searchVault } from "../functions/vault/search.ts";
import type { RouteOptions } from "./http/routes.ts";
import type { SearchRequest } from "./http/vault.ts";
import type { Log } from "./log.ts";
import { toPictureSearch } from "./media.ts";
import type { Uses } from "./uses.ts";

const tenantId = ownerTenant;

export function questionsOf({
  ports,
  uses,
  log,
}: {
  readonly ports: Ports;
  readonly uses: Uses;
  readonly log: Log;
}): Pick<RouteOptions, "ask" | "open" | "pictures" | "search"> {
  return {
    ask: async (args, signal) => uses.answered(await ask(args, ports, { signal, log }), args.session ?? ""),
    search: async (args, signal) =>
      uses.answered(await runCall(searchVault, { args: { tenantId, ...args }, ports, signal }), args.session ?? ""),
    pictures: async (args, signal) => {
      const search = await toPictureSearch(args, ports, signal);
      return runCall(searchPictures, { args: { tenantId, ...search }, ports, signal });
    },
    open: async ({ useKey, ...args }, signal) => {
      const opened = await runCall(openVault, { args: { tenantId, ...args }, ports, signal });
      uses.opened(useKey, args);
      return opened;
    },
  };
}

/** Answers, then leaves one event behind; a failing event does not take the answer away. */
async function ask(args: SearchRequest, ports: Ports, { signal, log }: { signal: AbortSignal; log: Log }): Promise<Answer> {
  const answer = await runCall(askVault, { args: { tenantId, ...args }, ports, signal });
  const event = { type: "asked" as const, name: args.question, text: `You asked: ${args.question}` };
  ports.state
    .mutation(internal.events.record, event)
    .catch((error: unknown) => log(`ask: the event was not kept: ${String(error)}`));
  return answer;
}
