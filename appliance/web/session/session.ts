/**
 * How this browser gets in and stays in: link → cookie → tokens of an hour. Lives outside React, because a code works only once and an
 * effect may run twice.
 */
import { findLinkCode } from "./linkCode.ts";

export type Session =
  | { readonly state: "opening" }
  | { readonly state: "open"; readonly convexUrl: string; readonly version: string }
  | { readonly state: "closed"; readonly why: "noLink" | "spentLink" | "left" }
  | { readonly state: "unreachable" };

type Token = { readonly token: string; readonly expiresAt: number };

/** A token this close to its end is not worth a request with it. */
const tokenLeewayMs = 30_000;
const retryMsMin = 1_000;
const retryMsMax = 30_000;

let session: Session = { state: "opening" };
let code: string | undefined;
let held: Token | undefined;
let attempts = 0;
let retry: number | undefined;
const listeners = new Set<() => void>();

/** Called once, by main. A link may also be pasted into the address bar of an open page, hence the listener. */
export function startSession(): void {
  window.addEventListener("hashchange", () => {
    if (takeCode()) void enter();
  });
  window.addEventListener("online", () => {
    if (session.state === "unreachable") void enter();
  });
  takeCode();
  void enter();
}

export function getSession(): Session {
  return session;
}

export function onSession(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Tries again at once, when the appliance did not answer. */
export function enterAgain(): void {
  void enter();
}

/**
 * An owner token, or null when this browser is not signed in (the session is closed then). Waits while the appliance does not answer:
 * saying null would sign the owner out over a restart. `forceRefresh` is how the Convex client asks for one with a full hour.
 */
export async function fetchToken({ forceRefresh }: { forceRefresh: boolean }): Promise<string | null> {
  if (!forceRefresh && held && held.expiresAt - tokenLeewayMs > Date.now()) return held.token;
  for (let waitMs = retryMsMin; ; waitMs = Math.min(waitMs * 2, retryMsMax)) {
    try {
      held = await requestToken();
      if (!held && session.state === "open") become({ state: "closed", why: "noLink" });
      return held?.token ?? null;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }
}

/** Ends the session in this browser. Fails when the appliance cannot be reached, because the cookie would survive. */
export async function leave(): Promise<void> {
  await request("/nika/logout");
  held = undefined;
  become({ state: "closed", why: "left" });
}

async function enter(): Promise<void> {
  clearTimeout(retry);
  if (session.state === "closed") become({ state: "opening" });
  try {
    const isSpent = code !== undefined && (await request("/nika/link", { code })).status === 410;
    code = undefined;
    // A spent link in a browser that is already signed in is no reason to keep its owner out.
    held = await requestToken();
    if (!held) return become({ state: "closed", why: isSpent ? "spentLink" : "noLink" });
    const config = (await (await request("/nika/config", undefined, "GET")).json()) as { convexUrl: string; version: string };
    attempts = 0;
    become({ state: "open", ...config });
  } catch {
    become({ state: "unreachable" });
    retry = window.setTimeout(() => void enter(), Math.min(retryMsMin * 2 ** attempts++, retryMsMax));
  }
}

/** Undefined when this browser is not signed in; throws when nobody answers. */
async function requestToken(): Promise<Token | undefined> {
  const response = await request("/nika/token");
  return response.status === 401 ? undefined : ((await response.json()) as Token);
}

/** Throws when the appliance is not there or not ready; answers it means to give, good or bad, come back. */
async function request(path: string, body?: object, method: "GET" | "POST" = "POST"): Promise<Response> {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  const response = await fetch(path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  if (response.status >= 500) throw new Error(`${path} answered ${response.status}`);
  return response;
}

/** Takes the code out of the address and of the history, where the next person at this device would find it. */
function takeCode(): boolean {
  const found = findLinkCode(window.location.hash);
  if (found === undefined) return false;
  code = found;
  window.history.replaceState(null, "", window.location.pathname);
  return true;
}

function become(next: Session): void {
  session = next;
  for (const listener of listeners) listener();
}
