/** What a phrase says about when, gathered piece by piece. Each reader strikes out what it understood. */
import type { Wall } from "../time/zone.ts";
import type { Found, Reader } from "./found.ts";
import { readEnd, readExcept, readScope } from "./readBounds.ts";
import { readInterval, readWindow } from "./readInterval.ts";
import { readMonthly, readYearly } from "./readMonthly.ts";
import { readOnce, readOnceNext, readTimes } from "./readOnce.ts";
import { readDaily, readWeekdays } from "./readWeekly.ts";
import type { Phrase } from "./text.ts";

const readCron: Reader = (phrase, found) => {
  const hit =
    phrase.take(/\bcron:? ((?:[\d*?,/lw#a-z-]+ ){4}[\d*?,/lw#a-z-]+)/u) ??
    phrase.take(/(?:^|`)((?:[\d*][\d*,/-]* ){2}[\d*?,/lw-]+ [\d*a-z,/-]+ [\d*?a-z,/#-]+)(?:`|$)/u);
  if (hit?.[1] !== undefined) found.cron = hit[1];
};

const readVague: Reader = (phrase, found) => {
  if (phrase.take(/\b(?:biweekly|bi-weekly)\b/u)) found.ask = "biweekly";
  if (phrase.take(/\b(?:bimonthly|bi-monthly)\b/u)) found.ask = "bimonthly";
  if (
    !found.ask &&
    /\b(?:de temps en temps|de temps a autre|regulierement|periodiquement|souvent|parfois|from time to time|now and then|occasionally|regularly|periodically|every so often|once in a while)\b/u.test(
      phrase.text,
    )
  )
    found.ask = "vague";
};

/** In this order: what is longer or more particular comes before what it contains. */
const readers: readonly Reader[] = [
  readCron,
  readOnceNext,
  readEnd,
  readScope,
  readExcept,
  readWindow,
  readInterval,
  readVague,
  readMonthly,
  readYearly,
  readDaily,
  readWeekdays,
  readOnce,
  readTimes,
];

export function gather(phrase: Phrase, today: Wall): Found {
  const found: Found = { repeats: false, times: [], parts: [] };
  for (const read of readers) read(phrase, found, today);
  return found;
}
