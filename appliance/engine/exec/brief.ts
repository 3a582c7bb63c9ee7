/**
 * What the main thread and the transaction thread say to each other most, put briefly: mutations of clients, and the answers of those that
 * did well. A list passes between threads for a third of what an object with names costs, and a mutation is several of those. Everything
 * else goes as it is.
 */
import type { CallRequest } from "../model/call.ts";
import type { IdentifiedReply, PassedReply, PassedTask, TaskMessage } from "./message.ts";

export function passTask(message: TaskMessage): PassedTask {
  const { id, origin, task } = message;
  if (task.type !== "mutation" || !task.session) return message;
  const { path, args, requestId, identity, client, caller, scheduledId } = task.request;
  if (!client || caller !== undefined || scheduledId !== undefined) return message;
  const who = identity.type === "none" ? null : identity;
  const { ip, userAgent, authToken } = client;
  return [id, origin, path, args, requestId, who, task.session.id, task.session.requestId, ip, userAgent, authToken];
}

export function takeTask(passed: PassedTask): TaskMessage {
  if (!isList(passed)) return passed;
  const [id, origin, path, args, requestId, who, session, number, ip, userAgent, authToken] = passed;
  const identity = who ?? { type: "none" as const };
  const request: CallRequest = { path, args, requestId, identity, client: { ip, userAgent, authToken } };
  return { id, origin, task: { type: "mutation", request, session: { id: session, requestId: number } } };
}

export function passReply({ id, reply }: IdentifiedReply): PassedReply {
  if (reply.type !== "mutation") return { id, reply };
  const { result, ts, logLines, ms } = reply;
  if (!result.ok || ts === null || ms === undefined || logLines.length > 0) return { id, reply };
  return [id, result.value, ts, ms];
}

export function takeReply(passed: PassedReply): IdentifiedReply {
  if (!isList(passed)) return passed;
  const [id, value, ts, ms] = passed;
  return { id, reply: { type: "mutation", result: { ok: true, value }, ts, logLines: [], ms } };
}

function isList<T extends readonly unknown[]>(passed: object | T): passed is T {
  return Array.isArray(passed);
}
