/** Who uses a server: a session that can answer its questions has it to itself, everybody else shares one. */
import type { ClientCapabilities, Notification } from "@modelcontextprotocol/client";
import type { Asked } from "./pool/peer.ts";

/** Who uses a server. Everybody without questions to answer shares one; a session of the old era that answers has its own. */
export type Scope = {
  readonly key: string;
  /** Of one conversation, which lists for itself. */
  readonly isConversation?: true;
  readonly capabilities: ClientCapabilities;
  readonly asked: Asked;
  readonly told: (server: string, notification: Notification) => void;
};

/** Of the one that is shared. */
export const sharedKey = "shared";

/** For those who share: whatever is asked, there is nobody to answer. */
export const everything: ClientCapabilities = { elicitation: { form: {}, url: {} }, sampling: {}, roots: { listChanged: true } };

/** Answers in the place of those who share. */
export const nobody: Asked = (method) => {
  if (method === "elicitation/create") return Promise.resolve({ action: "cancel" });
  if (method === "roots/list") return Promise.resolve({ roots: [] });
  return Promise.reject(new Error("Whoever uses this server now has no model to lend."));
};
