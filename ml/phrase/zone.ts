/** Cities people name when they mean a clock. */
import { isZone } from "../time/zone.ts";
import { fold, type Phrase } from "./text.ts";

// Names that are not the last part of a zone's name, folded.
const others: Record<string, string> = {
  londres: "Europe/London",
  geneve: "Europe/Zurich",
  bruxelles: "Europe/Brussels",
  lisbonne: "Europe/Lisbon",
  vienne: "Europe/Vienna",
  moscou: "Europe/Moscow",
  athenes: "Europe/Athens",
  varsovie: "Europe/Warsaw",
  "le caire": "Africa/Cairo",
  alger: "Africa/Algiers",
  montreal: "America/Toronto",
  quebec: "America/Toronto",
  ottawa: "America/Toronto",
  "la nouvelle-orleans": "America/Chicago",
  "san francisco": "America/Los_Angeles",
  boston: "America/New_York",
  washington: "America/New_York",
  miami: "America/New_York",
  seattle: "America/Los_Angeles",
  pekin: "Asia/Shanghai",
  beijing: "Asia/Shanghai",
  singapour: "Asia/Singapore",
  delhi: "Asia/Kolkata",
  mumbai: "Asia/Kolkata",
  bombay: "Asia/Kolkata",
  barcelone: "Europe/Madrid",
  milan: "Europe/Rome",
  munich: "Europe/Berlin",
  francfort: "Europe/Berlin",
  frankfurt: "Europe/Berlin",
  marseille: "Europe/Paris",
  lyon: "Europe/Paris",
  dubai: "Asia/Dubai",
};

let cities: Map<string, string> | undefined;

function zoneOfCity(city: string): string | undefined {
  if (!cities) {
    cities = new Map(Object.entries(others));
    for (const zone of Intl.supportedValuesOf("timeZone")) {
      const name = fold((zone.split("/").at(-1) ?? "").replaceAll("_", " "));
      if (!cities.has(name)) cities.set(name, zone);
    }
  }
  return cities.get(city);
}

const patterns = [
  /\(?\bheure (?:de |d'|du )(?<city>[a-z][a-z' -]*[a-z])(?:\)|(?=$|[,.;\ue000]))/u,
  /\(?\bheure (?:de |d'|du )(?<city>[a-z][a-z'-]*)\)?/u,
  /\(?\b(?<city>[a-z][a-z-]* [a-z][a-z-]*) time\b\)?/u,
  /\(?\b(?<city>[a-z][a-z-]*) time\b\)?/u,
];

/** Strikes out the clock a phrase names and gives its zone; `unknown` when it names a city we have no clock for. */
export function takeZone(phrase: Phrase): { zone: string } | { unknown: string } | undefined {
  if (phrase.take(/\(?\b(?:utc|gmt|temps universel|universal time|zulu)\b\)?/u)) return { zone: "UTC" };
  const named = /\b((?:africa|america|antarctica|asia|atlantic|australia|etc|europe|indian|pacific)\/[a-z0-9_+/-]+)/u;
  const match = named.exec(phrase.text);
  if (match?.[1] !== undefined) {
    const zone = properZone(match[1]);
    if (zone === undefined) return { unknown: match[1] };
    phrase.take(
      /\(?(?:heure de )?\b(?:africa|america|antarctica|asia|atlantic|australia|etc|europe|indian|pacific)\/[a-z0-9_+/-]+(?: time)?\)?/u,
    );
    return { zone };
  }
  for (const pattern of patterns) {
    const city = pattern.exec(phrase.text)?.groups?.["city"];
    const zone = city === undefined ? undefined : zoneOfCity(city);
    if (zone === undefined) continue;
    phrase.take(pattern);
    return { zone };
  }
  const unknown = /\bheure (?:de |d')(?<city>[a-z-]{3,})\b/u.exec(phrase.text)?.groups?.["city"];
  return unknown === undefined || /^(?:ouverture|fermeture|pointe|travail|bureau)$/u.test(unknown) ? undefined : { unknown };
}

/** In the spelling of the tz database. */
function properZone(folded: string): string | undefined {
  if (!isZone(folded)) return undefined;
  return new Intl.DateTimeFormat("en", { timeZone: folded }).resolvedOptions().timeZone;
}
