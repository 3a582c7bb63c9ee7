/** Schedules are read live from the control plane and changed over HTTP, where the appliance works out times and words. */
import type { Action, ScheduleView } from "../../../convex/model/schedule.ts";
import type { Said } from "../../../functions/schedules/say.ts";
import type { Preview } from "../../../functions/schedules/understand.ts";
import { askAppliance, type OwnerRequest } from "../session/requests.ts";

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

const send = <T>(method: string, path: string, request: OwnerRequest): Promise<T> =>
  askAppliance<T>(method, `/api/schedules${path}`, request);
