import { fetchToken } from "./session.ts";

export type OwnerRequest = { readonly body?: object; readonly ifMatch?: string; readonly signal?: AbortSignal };

/** One of the appliance's own routes, as the owner. Throws what it answered, `{code, message}`, when it refuses. */
export async function askAppliance<T>(method: string, path: string, request: OwnerRequest = {}): Promise<T> {
  let response = await once(method, path, request, false);
  // The token may have ended with the appliance's clock or key; a fresh one tells.
  if (response.status === 401) response = await once(method, path, request, true);
  if (response.status === 204) return undefined as T;
  const body: unknown = await response.json();
  if (!response.ok) throw body;
  return body as T;
}

async function once(
  method: string,
  path: string,
  { body, ifMatch, signal }: OwnerRequest,
  forceRefresh: boolean,
): Promise<Response> {
  const token = (await fetchToken({ forceRefresh })) ?? "";
  return fetch(path, {
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
