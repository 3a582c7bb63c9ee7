/** What Nika says back about a phrase, in the language it was written in. */
import type { LabelLanguage } from "../../convex/model/recurrenceLabel.ts";

type Saying = Readonly<Record<LabelLanguage, string>>;

export const sayings = {
  defaultTime: (time: string): Saying => ({
    en: `No time was given, so it is ${time}.`,
    fr: `Aucune heure n’est donnée : ce sera ${time}.`,
  }),
  partTime: (time: string): Saying => ({
    en: `That part of the day is taken as ${time}.`,
    fr: `Ce moment de la journée est compris comme ${time}.`,
  }),
  bareHour: (time: string): Saying => ({ en: `The hour is taken as ${time}.`, fr: `L’heure est comprise comme ${time}.` }),
  monday: (): Saying => ({ en: "No day was given, so it is Monday.", fr: "Aucun jour n’est donné : ce sera le lundi." }),
  first: (): Saying => ({ en: "No day was given, so it is the 1st.", fr: "Aucun jour n’est donné : ce sera le 1er." }),
  hourly: (): Saying => ({
    en: "No interval was given, so it is every hour.",
    fr: "Aucun intervalle n’est donné : ce sera toutes les heures.",
  }),
  habit: (): Saying => ({ en: "Taken as every week.", fr: "Compris comme chaque semaine." }),
  halves: (): Saying => ({ en: "Counted in halves of the calendar year.", fr: "Compté en semestres de l’année civile." }),
  holidays: (country: string): Saying => ({
    en: `Public holidays (${country}) are left out.`,
    fr: `Les jours fériés (${country}) sont exclus.`,
  }),
  noHolidays: (): Saying => ({
    en: "Public holidays of this zone are not known, so only the weekend is left out.",
    fr: "Les jours fériés de ce fuseau ne sont pas connus : seul le week-end est exclu.",
  }),
  tomorrow: (): Saying => ({
    en: "That time has passed today, so it is tomorrow.",
    fr: "Cette heure est passée aujourd’hui : ce sera demain.",
  }),
  shortMonths: (): Saying => ({
    en: "Months without that day are skipped; say “the last day of the month” to have every month.",
    fr: "Les mois sans ce jour sont sautés ; dites « le dernier jour du mois » pour les avoir tous.",
  }),
  notUnderstood: (): Saying => ({
    en: "Say how often or when, such as “every Monday at 8 AM” or “tomorrow at 2 PM”.",
    fr: "Dites à quelle fréquence ou quand, par exemple « tous les lundis à 8 h » ou « demain à 14 h ».",
  }),
  biweekly: (): Saying => ({
    en: "Twice a week, or every two weeks?",
    fr: "Deux fois par semaine, ou toutes les deux semaines ?",
  }),
  bimonthly: (): Saying => ({ en: "Twice a month, or every two months?", fr: "Deux fois par mois, ou tous les deux mois ?" }),
  vague: (): Saying => ({ en: "How often exactly?", fr: "À quelle fréquence exactement ?" }),
  morningOrEvening: (hour: number): Saying => ({
    en: `${hour} in the morning or in the afternoon?`,
    fr: `${hour} h du matin ou de l’après-midi ?`,
  }),
  unknownZone: (city: string): Saying => ({
    en: `Which time zone is “${city}”? Name it like Europe/Paris.`,
    fr: `Quel fuseau est « ${city} » ? Nommez-le comme Europe/Paris.`,
  }),
  never: (): Saying => ({ en: "That never happens; which day is meant?", fr: "Cela n’arrive jamais ; quel jour est voulu ?" }),
  past: (): Saying => ({ en: "That time has passed; which one is meant?", fr: "Ce moment est passé ; lequel est voulu ?" }),
  uneven: (): Saying => ({
    en: "From when to when each day? The interval does not divide the day.",
    fr: "De quelle heure à quelle heure ? L’intervalle ne divise pas la journée.",
  }),
  tooOften: (): Saying => ({
    en: "Once a minute is the most often; how often is meant?",
    fr: "Une fois par minute est le plus fréquent ; quelle fréquence est voulue ?",
  }),
} satisfies Record<string, (...args: never[]) => Saying>;
