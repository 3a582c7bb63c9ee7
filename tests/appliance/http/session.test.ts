import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { cookieName, openSessions } from "../../../appliance/http/session.ts";

const minuteMs = 60_000;

function cookieFrom(setCookie: string | undefined): string {
  assert(setCookie);
  return setCookie.split(";")[0]!;
}

test("a link opens one session and no second one", () => {
  const sessions = openSessions(randomBytes(32));
  const { code } = sessions.link(0);
  const cookie = cookieFrom(sessions.open(code, 1));
  assert.equal(sessions.isOpen(cookie, 2), true);
  assert.equal(sessions.open(code, 2), undefined);
});

test("a link is worthless after ten minutes", () => {
  const sessions = openSessions(randomBytes(32));
  const { code, expiresAt } = sessions.link(0);
  assert.equal(expiresAt, 10 * minuteMs);
  assert.equal(sessions.open(code, 10 * minuteMs), undefined);
});

test("a session ends after ninety days, and when its key is replaced", () => {
  const key = randomBytes(32);
  const sessions = openSessions(key);
  const cookie = cookieFrom(sessions.open(sessions.link(0).code, 0));
  const dayMs = 24 * 60 * minuteMs;
  assert.equal(openSessions(key).isOpen(cookie, 89 * dayMs), true);
  assert.equal(openSessions(key).isOpen(cookie, 91 * dayMs), false);
  assert.equal(openSessions(randomBytes(32)).isOpen(cookie, 0), false);
});

test("a cookie whose life was stretched by its holder is not a session", () => {
  const sessions = openSessions(randomBytes(32));
  const cookie = cookieFrom(sessions.open(sessions.link(0).code, 0));
  const [, value] = cookie.split("=");
  const [, nonce, seal] = value!.split(".");
  assert.equal(sessions.isOpen(`${cookieName}=99999999999999.${nonce}.${seal}`, 0), false);
  assert.equal(sessions.isOpen(`${cookieName}=`, 0), false);
  assert.equal(sessions.isOpen(undefined, 0), false);
});

test("asking for links in a loop keeps only the newest", () => {
  const sessions = openSessions(randomBytes(32));
  const first = sessions.link(0).code;
  for (let i = 0; i < 100; i++) sessions.link(0);
  const last = sessions.link(0).code;
  assert.equal(sessions.open(first, 1), undefined);
  assert.notEqual(sessions.open(last, 1), undefined);
});
