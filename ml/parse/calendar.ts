import type ICAL from "ical.js";
import type { Block, Facts } from "./block.ts";
import { tidied } from "./decode.ts";
import { factsOf } from "./office/package.ts";
import { UnreadableError } from "./unreadable.ts";

type Component = ICAL.Component;
type Property = ICAL.Property;
type Time = ICAL.Time;
type Recur = ICAL.Recur;

const recordsMax = 20_000;

/** A calendar: each event, task or note as a record of "name: value" lines, with how it repeats in words. */
export async function calendarBlocks(text: string): Promise<{ blocks: Block[]; title?: string; facts?: Facts }> {
  const components = await parse(text);
  const entries = components.flatMap((calendar) =>
    calendar.getAllSubcomponents().filter((one) => /^v(?:event|todo|journal)$/u.test(one.name)),
  );
  const blocks = entries.slice(0, recordsMax).map((entry, at): Block => {
    const lines = entryLines(entry).map(([name, value]) => `${name}: ${value}`);
    return { type: "record", text: lines.join("\n"), place: { records: { from: at + 1, to: at + 1 } } };
  });
  const first = entries[0];
  const title = valueOf(components[0], "x-wr-calname") || (entries.length === 1 ? valueOf(first, "summary") : "");
  const people = [
    ...new Set(entries.slice(0, 200).flatMap((entry) => [...peopleOf(entry, "organizer"), ...peopleOf(entry, "attendee")])),
  ].slice(0, 50);
  const start = entries.length === 1 ? first?.getFirstPropertyValue("dtstart") : undefined;
  const facts = factsOf({
    author: first && peopleOf(first, "organizer")[0],
    writtenAt: isTime(start) ? start.toUnixTime() * 1000 : undefined,
    people,
  });
  return { blocks, ...(title !== "" && { title }), ...(facts && { facts }) };
}

/** Address cards: each person as a record of "name: value" lines. */
export async function contactBlocks(text: string): Promise<{ blocks: Block[]; title?: string; facts?: Facts }> {
  const cards = (await parse(text)).filter((one) => one.name === "vcard").slice(0, recordsMax);
  const blocks = cards.map((card, at): Block => {
    const lines = card.getAllProperties().flatMap((property) => contactLine(property));
    return { type: "record", text: [...new Set(lines)].join("\n"), place: { records: { from: at + 1, to: at + 1 } } };
  });
  const names = cards.map((card) => valueOf(card, "fn")).filter((name) => name !== "");
  const title = cards.length === 1 ? names[0] : undefined;
  const facts = factsOf({ people: [...new Set(names)].slice(0, 50) });
  return { blocks, ...(title !== undefined && { title }), ...(facts && { facts }) };
}

async function parse(text: string): Promise<Component[]> {
  const { default: library } = await import("ical.js");
  try {
    const parsed = library.parse(text) as unknown;
    // Several in one file come as a list of lists; one comes as itself.
    const isMany = Array.isArray(parsed) && Array.isArray(parsed[0]);
    return (isMany ? (parsed as unknown[]) : [parsed]).map(
      (one) => new library.Component(one as ConstructorParameters<typeof library.Component>[0]),
    );
  } catch (error) {
    throw new UnreadableError("damaged", { cause: error });
  }
}

function entryLines(entry: Component): [string, string][] {
  const repeats = entry
    .getAllProperties("rrule")
    .map((property) => property.getFirstValue())
    .filter((value): value is Recur => isRecur(value))
    .map((rule) => recurrenceWords(rule));
  const lines: [string, string][] = [
    [entry.name === "vtodo" ? "Task" : entry.name === "vjournal" ? "Note" : "Event", valueOf(entry, "summary")],
    ["When", whenWords(entry)],
    ["Repeats", repeats.join("; ")],
    ["Except", timesOf(entry, "exdate").join(", ")],
    ["Also", timesOf(entry, "rdate").join(", ")],
    ["Due", timesOf(entry, "due").join("")],
    ["Where", valueOf(entry, "location")],
    ["Organizer", peopleOf(entry, "organizer").join(", ")],
    ["Attendees", peopleOf(entry, "attendee").slice(0, 100).join(", ")],
    ["Status", valueOf(entry, "status").toLowerCase()],
    [
      "Categories",
      entry
        .getAllProperties("categories")
        .flatMap((one) => one.getValues().map(String))
        .join(", "),
    ],
    ["Link", valueOf(entry, "url")],
    ["Description", valueOf(entry, "description")],
  ];
  return lines.filter(([, value]) => value !== "");
}

function whenWords(entry: Component): string {
  const start = entry.getFirstPropertyValue("dtstart");
  if (!isTime(start)) return "";
  const zone = entry.getFirstProperty("dtstart")?.getFirstParameter("tzid") ?? "";
  const end = entry.getFirstPropertyValue("dtend");
  const length = valueOf(entry, "duration");
  const until = isTime(end)
    ? endWords(start, end)
    : length === ""
      ? ""
      : ` for ${length.replace(/^P/u, "").replace("T", " ").toLowerCase().trim()}`;
  return `${timeWords(start)}${until}${zone === "" ? "" : ` (${zone})`}`;
}

/** The last day of an event of whole days is the one before its end. */
function endWords(start: Time, end: Time): string {
  const last = end.clone();
  if (last.isDate) last.adjust(-1, 0, 0, 0);
  if (isSameDay(start, last)) return last.isDate ? "" : `–${timeWords(last).slice(11)}`;
  return ` to ${timeWords(last)}`;
}

function isSameDay(one: Time, other: Time): boolean {
  return one.year === other.year && one.month === other.month && one.day === other.day;
}

function timeWords(time: Time): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = `${time.year}-${two(time.month)}-${two(time.day)}`;
  if (time.isDate) return day;
  return `${day} ${two(time.hour)}:${two(time.minute)}${time.zone?.tzid === "UTC" ? " UTC" : ""}`;
}

function timesOf(entry: Component, name: string): string[] {
  const values = entry.getAllProperties(name).flatMap((one) => one.getValues() as unknown[]);
  return values
    .filter((value): value is Time => isTime(value))
    .slice(0, 200)
    .map((time) => timeWords(time));
}

const units: Readonly<Record<string, string>> = {
  SECONDLY: "second",
  MINUTELY: "minute",
  HOURLY: "hour",
  DAILY: "day",
  WEEKLY: "week",
  MONTHLY: "month",
  YEARLY: "year",
};
const days: Readonly<Record<string, string>> = {
  MO: "Monday",
  TU: "Tuesday",
  WE: "Wednesday",
  TH: "Thursday",
  FR: "Friday",
  SA: "Saturday",
  SU: "Sunday",
};
const monthNames = "January February March April May June July August September October November December".split(" ");

/** A recurrence rule (RFC 5545, 3.3.10) as a person says it: "every 2 weeks on Monday and Thursday until 2026-06-30". */
export function recurrenceWords(rule: { toString: () => string }): string {
  const parts = new Map(
    rule
      .toString()
      .split(";")
      .map((part) => part.split("=", 2) as [string, string]),
  );
  const unit = units[parts.get("FREQ") ?? ""];
  if (unit === undefined) return "";
  const interval = Number(parts.get("INTERVAL") ?? 1);
  const list = (name: string): string[] =>
    (parts.get(name) ?? "")
      .split(",")
      .filter((value) => value !== "")
      .slice(0, 60);
  const words = [interval > 1 ? `every ${interval} ${unit}s` : `every ${unit}`];
  const positions = list("BYSETPOS").map((value) => ordinal(Number(value)));
  const byDay = list("BYDAY").map((value) => dayWords(value));
  if (byDay.length > 0) words.push(`on ${positions.length > 0 ? `the ${joined(positions)} ` : ""}${joined(byDay)}`);
  const byDate = list("BYMONTHDAY").map(Number);
  if (byDate.length > 0) words.push(`on ${joined(byDate.map((day) => (day < 0 ? `the ${ordinal(day)} day` : `day ${day}`)))}`);
  const months = list("BYMONTH").map((value) => monthNames[Number(value) - 1] ?? value);
  if (months.length > 0) words.push(`in ${joined(months)}`);
  const hours = list("BYHOUR");
  if (hours.length > 0)
    words.push(`at ${joined(hours.map((hour) => `${hour.padStart(2, "0")}:${(list("BYMINUTE")[0] ?? "00").padStart(2, "0")}`))}`);
  const until = parts.get("UNTIL");
  if (until !== undefined) words.push(`until ${until.replace(/^(\d{4})-?(\d\d)-?(\d\d).*$/su, "$1-$2-$3")}`);
  const count = parts.get("COUNT");
  if (count !== undefined) words.push(`${count} times`);
  return words.join(" ");
}

function dayWords(value: string): string {
  const match = /^([+-]?\d+)?([A-Z]{2})$/u.exec(value);
  const name = days[match?.[2] ?? ""] ?? value;
  return match?.[1] === undefined ? name : `the ${ordinal(Number(match[1]))} ${name}`;
}

function ordinal(value: number): string {
  if (value === -1) return "last";
  if (value < 0) return `${ordinal(-value)} to last`;
  const end = value % 100 >= 11 && value % 100 <= 13 ? "th" : (["th", "st", "nd", "rd"][value % 10] ?? "th");
  return `${value}${end}`;
}

function joined(words: readonly string[]): string {
  return words.length < 2 ? (words[0] ?? "") : `${words.slice(0, -1).join(", ")} and ${words.at(-1) ?? ""}`;
}

function peopleOf(entry: Component, name: string): string[] {
  return entry.getAllProperties(name).map((property) => {
    const address = String(property.getFirstValue() ?? "").replace(/^mailto:/iu, "");
    const said = property.getFirstParameter("cn");
    return tidied(said === undefined || said === "" ? address : `${said} <${address}>`).slice(0, 300);
  });
}

const contactNames: Readonly<Record<string, string>> = {
  fn: "Name",
  nickname: "Nickname",
  org: "Organisation",
  title: "Title",
  role: "Role",
  tel: "Phone",
  email: "Email",
  adr: "Address",
  bday: "Birthday",
  anniversary: "Anniversary",
  url: "Web",
  impp: "Messages",
  note: "Note",
  categories: "Categories",
  related: "Related",
  lang: "Language",
};

function contactLine(property: Property): string[] {
  const name = contactNames[property.name.replace(/^item\d+\./u, "")];
  if (name === undefined) return [];
  const said = property.getFirstParameter("type") as unknown;
  const types = (Array.isArray(said) ? said.map(String) : [typeof said === "string" ? said : ""])
    .map((type) => type.toLowerCase())
    .filter((type) => /^(?:work|home|cell|fax|main)$/u.test(type));
  const values = (property.getValues() as unknown[]).flatMap((value) =>
    Array.isArray(value) ? (value as unknown[]).flat() : [value],
  );
  const text = tidied(
    values
      .map((value) => String(value).trim())
      .filter((value) => value !== "")
      .join(", ")
      .replace(/^(?:tel|mailto):/iu, ""),
  );
  if (text === "") return [];
  return [`${name}${types.length > 0 ? ` (${types.join(", ")})` : ""}: ${text.slice(0, 5_000)}`];
}

function valueOf(entry: Component | undefined, name: string): string {
  const value = entry?.getFirstPropertyValue(name);
  return value === undefined || value === null ? "" : tidied(String(value)).trim().slice(0, 20_000);
}

function isTime(value: unknown): value is Time {
  return typeof value === "object" && value !== null && "icaltype" in value && String(value.icaltype).startsWith("date");
}

function isRecur(value: unknown): value is Recur {
  return typeof value === "object" && value !== null && "freq" in value;
}
