/** Words for stretches of time. */

export const minutesIn: Record<string, number> = {
  seconde: 1 / 60,
  second: 1 / 60,
  sec: 1 / 60,
  minute: 1,
  min: 1,
  mn: 1,
  heure: 60,
  hour: 60,
  h: 60,
  hr: 60,
};
export const singular = (unit: string): string => unit.replace(/s$/u, "").replace(/^mois?$/u, "mois");
