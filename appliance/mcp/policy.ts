/** What the owner's policy says about a call before it goes out: how many an hour, and which need somebody's word each time. */
import { ProtocolError, type Result } from "@modelcontextprotocol/server";
import { NikaError } from "../../convex/model/error.ts";
import type { ServerConfig } from "../../convex/model/server.ts";
import { invalidParams } from "./answer.ts";
import type { Call } from "./call.ts";
import { isRecord } from "./meta.ts";
import { hashOf } from "./pool/slot.ts";
import { digestOf, type ToolRoute } from "./routes.ts";
import type { Sealer } from "./seal.ts";

const hourMs = 3_600_000;
/** Under which the answer to our own question comes back, beside those to the server's. */
export const approvalKey = "nika_approval";

export type Policy = {
  /** Undefined: go ahead. Otherwise the question to be answered first; `why` is another reason to ask. Fails with `full` or `denied`. */
  permit(route: ToolRoute, call: Call, why?: string): Result | undefined;
  /** The question for a tool of Nika's own. */
  ask(call: Call, of: Asked, why: string): Result | undefined;
};
/** What a call is allowed of: a yes is for it as it was when it was asked about. */
type Asked = { readonly server: string; readonly publicName: string; readonly about: string };
export type PolicyOptions = {
  readonly configOf: (server: string) => ServerConfig;
  readonly sealer: Sealer;
  readonly now: () => number;
};

/** What was called in the last hour is counted from here on. */
export function openPolicy({ configOf, sealer, now }: PolicyOptions): Policy {
  const recent = new Map<string, number[]>();

  function spend(server: string, callsPerHour: number | undefined): void {
    if (callsPerHour === undefined) return;
    const times = (recent.get(server) ?? []).filter((at) => at > now() - hourMs);
    if (times.length >= callsPerHour)
      throw new NikaError("full", `${server} may be called ${callsPerHour} times an hour, and was.`);
    recent.set(server, [...times, now()]);
  }

  /** Undefined: go ahead. Otherwise the question, or the refusal. */
  function approve(call: Call, { server, publicName, about }: Asked, why: string | undefined): Result | undefined {
    const answer = call.context?.mcpReq.inputResponses?.[approvalKey];
    if (isRecord(answer)) {
      // Only for the call it was given for: the state says which.
      const given = call.context?.mcpReq.requestState<string>();
      if (given === undefined) throw new ProtocolError(invalidParams, "An approval needs the state it was asked with.");
      sealer.unseal(call, "tools/call", given, about);
      if (answer["action"] === "accept") return undefined;
      throw new NikaError("denied", `Whoever was asked did not allow ${publicName}.`);
    }
    if (call.capabilities?.elicitation === undefined)
      throw new NikaError(
        "denied",
        why === undefined
          ? `${publicName} needs the owner's word for each call, and nobody can be asked here; the owner may use \`nika mcp call\`.`
          : `${publicName} needs the owner's word, because ${why}, and nobody can be asked here. Begin a new conversation, or see \`nika mcp seen\`.`,
      );
    const shown = JSON.stringify(call.args);
    const reason = why === undefined ? "" : ` Careful: ${why}.`;
    const message = `Allow ${publicName} of ${server}?${reason} ${shown.length > 600 ? `${shown.slice(0, 600)}…` : shown}`;
    const params = { mode: "form", message, requestedSchema: { type: "object", properties: {} } };
    return {
      resultType: "input_required",
      inputRequests: { [approvalKey]: { method: "elicitation/create", params } },
      requestState: sealer.seal(call, "tools/call", undefined, about),
    };
  }

  return {
    permit({ server, publicName, ruling, tool }, call, why) {
      spend(server, configOf(server).callsPerHour);
      const mustAsk = (ruling.approval === "ask" || why !== undefined) && !call.isApproved;
      if (!mustAsk) return undefined;
      const about = `${digestOf(tool).sha256} ${hashOf(configOf(server))}`;
      return approve(call, { server, publicName, about }, why);
    },
    ask: approve,
  };
}
