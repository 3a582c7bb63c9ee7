/**
 * How the owner's browser gets in: a link that works once, exchanged for a sealed cookie, exchanged for short-lived tokens. Never by
 * being first to visit.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";

const linkLifeMs = 10 * 60_000;
const sessionLifeMs = 90 * 24 * 60 * 60_000;
export const cookieName = "nika_session";
/** More open links than this means something asks for them in a loop; the oldest go. */
const linksMax = 32;

export type Sessions = {
  /** A code for a one-time link, valid for ten minutes. */
  link(nowMs: number): { code: string; expiresAt: number };
  /** The Set-Cookie value for a code that is good, which is then spent; undefined otherwise. */
  open(code: string, nowMs: number): string | undefined;
  /** Whether the Cookie header carries a session of ours that has not expired. */
  isOpen(cookieHeader: string | undefined, nowMs: number): boolean;
};

/** `key` seals the cookies: whoever changes it ends all sessions. Links live in memory and die with the process. */
export function openSessions(key: Buffer): Sessions {
  const links = new Map<string, number>(); // sha256 of the code -> when it ends
  const seal = (body: string): string => createHmac("sha256", key).update(body).digest("base64url");
  const drop = (nowMs: number): void => {
    for (const [hash, endsAt] of links) if (endsAt <= nowMs || links.size > linksMax) links.delete(hash);
  };
  return {
    link(nowMs) {
      const code = randomBytes(18).toString("base64url");
      const expiresAt = nowMs + linkLifeMs;
      links.set(hashOf(code), expiresAt);
      drop(nowMs);
      return { code, expiresAt };
    },
    open(code, nowMs) {
      drop(nowMs);
      if (!links.delete(hashOf(code))) return undefined;
      const body = `${nowMs + sessionLifeMs}.${randomBytes(12).toString("base64url")}`;
      return `${cookieName}=${body}.${seal(body)}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${sessionLifeMs / 1000}`;
    },
    isOpen(cookieHeader, nowMs) {
      const value = cookieOf(cookieHeader);
      if (value === undefined) return false;
      const cut = value.lastIndexOf(".");
      const body = value.slice(0, cut);
      if (cut < 0 || !isSame(value.slice(cut + 1), seal(body))) return false;
      return Number(body.split(".")[0]) > nowMs;
    },
  };
}

/** The Set-Cookie value that ends a session in this browser. */
export const endedCookie = `${cookieName}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0`;

/** Compares secrets in a time that tells nothing about where they differ. */
export function isSame(left: string, right: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(left), digest(right));
}

function cookieOf(header: string | undefined): string | undefined {
  for (const part of header?.split(";") ?? []) {
    const [name, value] = part.trim().split("=", 2);
    if (name === cookieName) return value;
  }
  return undefined;
}

function hashOf(code: string): string {
  return createHash("sha256").update(code).digest("hex");
}
