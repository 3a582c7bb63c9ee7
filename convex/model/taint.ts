/**
 * Labels of what a conversation has seen, and what follows from them. Content from outside may carry orders; private content may be what they are
 * after; a tool that leads out is how it would leave. Any two are harmless, and all three together are what this asks about. Pure.
 */
import { referencesIn, type ServerConfig, type ToolClass } from "./server.ts";

export const labels = ["private", "untrusted"] as const;
/** `private`: the owner's, or got with his credentials. `untrusted`: written by others, so it may speak to a model. */
export type Label = (typeof labels)[number];

/** Which servers brought each. */
export type Taint = Readonly<Record<Label, readonly string[]>>;
export const clean: Taint = { private: [], untrusted: [] };

/** What a call of a tool could do with what was seen. */
export type Sink = {
  readonly server: string;
  readonly class: ToolClass;
  /** Whether what it is given can leave the machine. */
  readonly leadsOut: boolean;
};

/** `server` brought content with these labels. The same value when nothing is new. */
export function stain(taint: Taint, server: string, brought: readonly Label[]): Taint {
  const fresh = brought.filter((label) => !taint[label].includes(server));
  if (fresh.length === 0) return taint;
  const added = Object.fromEntries(fresh.map((label) => [label, [...taint[label], server].toSorted()]));
  return { ...taint, ...added };
}

export const isMixed = (taint: Taint): boolean => taint.private.length > 0 && taint.untrusted.length > 0;

/**
 * Why a call needs somebody's word, or undefined when it does not. What only reads, from the one server that all private content came from, tells
 * nobody anything new.
 */
export function objection(taint: Taint, { server, class: toolClass, leadsOut }: Sink): string | undefined {
  if (!isMixed(taint)) return undefined;
  const isOurs = server === ownServer;
  if (!leadsOut && (isOurs || toolClass === "read")) return undefined;
  if (toolClass === "read" && taint.private.every((one) => one === server)) return undefined;
  return `this conversation has read private content (${taint.private.join(", ")}) and content from outside (${taint.untrusted.join(", ")}), and this tool ${
    leadsOut ? "can send it out" : "changes things"
  }`;
}

/** Nika's own tools stand under this name. */
export const ownServer = "nika";

/**
 * What a server's results are when its policy does not say: always from outside, and private when it was given files of the owner's or a credential.
 */
export function labelsOf({ transport, sandbox }: Pick<ServerConfig, "transport" | "sandbox">): readonly Label[] {
  const isTrusted =
    transport.type === "stdio"
      ? sandbox.mounts.length > 0 || filesIn(transport.args) || refers(Object.values(transport.env))
      : Object.keys(transport.headers).length > 0 || transport.oauth !== undefined || refers([transport.url]);
  return isTrusted ? ["private", "untrusted"] : ["untrusted"];
}

/** Whole paths behind the program's own, which comes first. */
const filesIn = (args: readonly string[]): boolean =>
  args
    .filter((one) => !one.startsWith("-"))
    .slice(1)
    .some((one) => /^[/~]/.test(one));

const refers = (texts: readonly string[]): boolean => texts.some((text) => referencesIn(text).length > 0);

/** A server elsewhere is told whatever it is called with; one here tells others only where it has a way out. */
export const leadsOut = ({ transport, sandbox }: Pick<ServerConfig, "transport" | "sandbox">, isBare: boolean): boolean =>
  transport.type !== "stdio" || isBare || sandbox.egress.length > 0;
