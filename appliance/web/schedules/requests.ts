/** Schedules are read live from the control plane and changed over HTTP, where the appliance works out times and words. */
import type { Action, ScheduleView } from "../../../convex/model/schedule.ts";
import type { Said } from "../../../functions/schedules/say.ts";
import type { Preview } from "../../../functions/schedules/understand.ts";
import { fetchToken } from "../session/session.ts";

/** The clock on this device's wall, which sentences are said by. */
export const ownZone = (): string => new Intl.DateTimeFormat().resolvedOptions().timeZone;

/** Does what a sentence says; with `isDryRun` it only tells what it would do. */
export async function say(text: string, { isDryRun, signal }: { isDryRun: boolean; signal?: AbortSignal }): Promise<Said> {
  return send<Said>("POST", "/say", { body: { text, zone: ownZone(), dryRun: isDryRun }, ...(signal && { signal }) });
}

/** What another time would mean for a schedule. Nothing is changed. */
export async function previewOf({ id }: ScheduleView, text: string, signal: AbortSignal): Promise<Preview> {
  return send<Preview>("POST", `/${id}/preview`, { body: { text, zone: ownZone() }, signal });
}

export type Changes = {
  readonly enabled?: boolean;
  readonly text?: string;
  readonly zone?: string;
  readonly name?: string;
  readonly prompt?: string;
  readonly action?: Action;
};

/** Refused with `conflict` when the schedule is no longer the one that was seen. */
export async function change({ id, version }: ScheduleView, changes: Changes): Promise<void> {
  await send("PATCH", `/${id}`, { body: changes, ifMatch: `"${version}"` });
}

export async function remove({ id }: ScheduleView): Promise<void> {
  await send("DELETE", `/${id}`, {});
}

export async function runNow({ id }: ScheduleView): Promise<void> {
  await send("POST", `/${id}/run`, { body: {} });
}

type Request = { readonly body?: object; readonly ifMatch?: string; readonly signal?: AbortSignal };

/** Throws what the appliance answered, `{code, message}`, when it refuses. */
async function send<T>(method: string, path: string, request: Request): Promise<T> {
  let response = await once(method, path, request, false);
  // The token may have ended with the appliance's clock or key; a fresh one tells.
  if (response.status === 401) response = await once(method, path, request, true);
  if (response.status === 204) return undefined as T;
  const body: unknown = await response.json();
  if (!response.ok) throw body;
  return body as T;
}

async function once(method: string, path: string, { body, ifMatch, signal }: Request, forceRefresh: boolean): Promise<Response> {
  const token = (await fetchToken({ forceRefresh })) ?? "";
  return fetch(`/api/schedules${path}`, {
    method,
    headers: {
      Authorization: `Bearer ${token}`,
      ...(body && { "Content-Type": "application/json" }),
      ...(ifMatch !== undefined && { "If-Match": ifMatch }),
    },
    ...(body && { body: JSON.stringify(body) }),
    ...(signal && { signal }),
  });
}
