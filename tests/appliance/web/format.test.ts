import assert from "node:assert/strict";
import { test } from "node:test";
import { formatBytes, formatLanguage, formatMoment, formatWhen } from "../../../appliance/web/language/format.ts";

/** Intl writes spaces of several kinds. */
const plain = (text: string): string => text.replace(/\s/gu, " ");

test("sizes are read in the largest unit that keeps them above one", () => {
  assert.equal(plain(formatBytes(0, "en")), "0 kB");
  assert.equal(plain(formatBytes(12, "en")), "0.1 kB");
  assert.equal(plain(formatBytes(1536, "en")), "1.5 kB");
  assert.equal(plain(formatBytes(64 * 1024 * 1024, "en")), "64 MB");
  assert.equal(plain(formatBytes(1536, "fr")), "1,5 ko");
});

test("a moment is a time today, a day this year, and a date before that", () => {
  const now = Date.UTC(2026, 10, 21, 15, 0);
  const when = (at: number): string => plain(formatWhen(at, now, "en-GB", "UTC"));
  assert.equal(when(Date.UTC(2026, 10, 21, 9, 5)), "09:05");
  assert.equal(when(Date.UTC(2026, 10, 20, 9, 5)), "20 Nov");
  assert.equal(when(Date.UTC(2025, 10, 21, 15, 0)), "21 Nov 2025");
});

test("a language is called by its name in the reader's language, and by nothing when it is not known", () => {
  assert.equal(formatLanguage("fr", "en"), "French");
  assert.equal(formatLanguage("en", "fr"), "Anglais");
  assert.equal(formatLanguage("und", "en"), "");
});

test("a moment to come says weekday, day and time, and the year only when it is another one", () => {
  const now = Date.UTC(2026, 10, 21, 9);
  assert.equal(formatMoment(Date.UTC(2026, 10, 23, 7), now, "en-GB", "Europe/Paris"), "Mon 23 Nov, 08:00");
  assert.match(formatMoment(Date.UTC(2027, 0, 4, 7), now, "fr-FR", "Europe/Paris"), /lun\. 4 janv\. 2027.*08:00/u);
});
