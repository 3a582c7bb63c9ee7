/** What somebody wants done about schedules: make one, or list, pause, resume, delete, run, move or change those there are. */
import type { Rule } from "../../convex/model/recurrence.ts";
import { parsePhrase, type Context, type Understood } from "./parse.ts";
import { fold } from "./text.ts";
import { amount, toAmount } from "./words.ts";

export type ScheduleRequest =
  | { readonly type: "create"; readonly understood: Understood }
  | { readonly type: "list" }
  /** `target` is what the writer calls it, folded; `untilPhrase` is when a pause is to end, in the writer's words. */
  | { readonly type: "pause"; readonly target: string; readonly untilPhrase?: string }
  | { readonly type: "resume" | "delete" | "run"; readonly target: string }
  /** Later by `byMs`, earlier when negative. */
  | { readonly type: "shift"; readonly target: string; readonly byMs: number }
  /** `change` is read with `parsePhrase` once the target's rule is known: what it leaves open stays as it is. */
  | { readonly type: "change"; readonly target: string; readonly change: string };

const thing =
  "(?:(?:la |le |les |l'|ma |mes |mon |cette |ce |toutes les |tous les |the |my |this |that |all )?(?:(?:tache|taches|planification|planifications|rappel|rappels|programmation|tasks?|schedules?|reminders?|jobs?)(?: (?:recurrente?s?|planifiee?s?|recurring|scheduled))?)?(?: (?:de |d'|du |des |for |called |named |pour |about ))?)";

const list = [
  /^(?:quelles sont|quels sont|liste[rsz]?|listes|montre[sz]?(?:-moi)?|affiche[rsz]?|voir|donne(?:-moi)?|what are|show(?: me)?|list|display|which are)\b.*\b(?:taches?|planifications?|rappels?|recurrent\w*|programm\w*|tasks?|schedules?|scheduled|reminders?|recurring)\b/u,
  /^(?:mes|my) (?:taches? recurrentes?|planifications?|rappels?|schedules?|recurring tasks?|reminders?)\s*\??$/u,
  /\b(?:qu'est-ce qui est (?:prevu|planifie|programme)|what(?:'s| is) scheduled)\b/u,
];

const verbs = {
  pause:
    "(?:desactive[rsz]?|mets? en pause|mettre en pause|suspend[sz]?|suspendre|arrete[rsz]?|stoppe[rsz]?|pause|disable|deactivate|suspend|turn off|stop)",
  resume:
    "(?:reactive[rsz]?|active[rsz]?|reprend[sz]?|reprendre|relance[rsz]?|resume|re-?enable|enable|reactivate|activate|unpause|turn on|restart)",
  delete:
    "(?:supprime[rsz]?|efface[rsz]?|enleve[rsz]?|retire[rsz]?|annule[rsz]?|oublie[rsz]?|delete|remove|drop|cancel|get rid of|forget)",
  run: "(?:lance[rsz]?|execute[rsz]?|declenche[rsz]?|demarre[rsz]?|fais tourner|run|launch|trigger|execute|start|fire)",
  change:
    "(?:change[rsz]?|modifie[rsz]?|passe[rsz]?|mets?|deplace[rsz]?|reprogramme[rsz]?|replanifie[rsz]?|bascule[rsz]?|change|modify|update|move|reschedule|switch|set|edit)",
  shift:
    "(?:decale[rsz]?|avance[rsz]?|recule[rsz]?|repousse[rsz]?|retarde[rsz]?|postpone|delay|bring forward|move|shift|push(?: back)?|advance)",
} as const;

const startsWith = (verb: string): RegExp => new RegExp(`^${verb}(?:-(?:la|le|les|moi))?\\b ?`, "u");
const now = /,? ?\b(?:maintenant|tout de suite|immediatement|des maintenant|now|right now|right away|immediately)\b/u;

const called =
  /\b(?:daily|weekly|monthly|yearly|quarterly|morning|evening|quotidien(?:ne)?|hebdomadaire|mensuel(?:le)?|annuel(?:le)?|trimestriel(?:le)?|(?:du |de la |de l')(?:matin|soir|nuit|jour|semaine|mois|lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche))\b/gu;

/** Deterministic. A phrase about no schedule comes back as `create` with what `parsePhrase` made of it, most often nothing. */
export function parseRequest(text: string, context: Context): ScheduleRequest {
  const plain = fold(text)
    .trim()
    .replace(/^(?:(?:peux-tu|pourrais-tu|tu peux|pouvez-vous|can you|could you|please|stp|s'il te plait|ok|nika)[ ,]+)+/u, "")
    .replaceAll(/[\s.!?]+$/gu, "");
  if (list.some((pattern) => pattern.test(plain))) return { type: "list" };

  const shift = readShift(plain);
  if (shift) return shift;
  const change = readChange(plain);
  if (change) return change;
  // "Supprime les vieux fichiers tous les lundis" is work for every Monday, not the end of it.
  // "The weekly report" is what a schedule is called, though.
  const isWork = (phrase: string): boolean => parsePhrase(fold(phrase).replaceAll(called, ""), context).type !== "none";
  if (startsWith(verbs.pause).test(plain)) {
    const rest = plain.replace(startsWith(verbs.pause), "");
    const at = rest.search(/ (?:jusqu'a|jusqu'au|until|till|pendant|for) /u);
    const target = toTarget(at < 0 ? rest : rest.slice(0, at));
    if (target !== "" && !isWork(at < 0 ? rest : rest.slice(0, at)))
      return { type: "pause", target, ...(at >= 0 && { untilPhrase: rest.slice(at + 1) }) };
  }
  for (const type of ["run", "resume", "delete"] as const) {
    if (!startsWith(verbs[type]).test(plain)) continue;
    const target = toTarget(plain.replace(startsWith(verbs[type]), "").replace(now, ""));
    if (target !== "" && !isWork(text)) return { type, target };
  }
  return { type: "create", understood: parsePhrase(text, context) };
}

function readShift(plain: string): ScheduleRequest | undefined {
  const pattern = new RegExp(
    `^${verbs.shift}(?:-(?:la|le|les))? ?(.*?) ?(?:d'|de |by )(${amount}) ?(minutes?|min|heures?|hours?|h|jours?|days?)( plus tot| earlier)?$`,
    "u",
  );
  const [, target = "", count, unit = "", earlier] = pattern.exec(plain) ?? [];
  if (count === undefined) return undefined;
  const unitMs = unit.startsWith("m") ? 60_000 : unit.startsWith("h") ? 3_600_000 : 86_400_000;
  const isEarlier = earlier !== undefined || /^(?:avance|advance|bring forward)/u.test(plain);
  return { type: "shift", target: toTarget(target), byMs: (isEarlier ? -1 : 1) * toAmount(count) * unitMs };
}

/** "change la recherche Indeed à tous les mercredis", "passe le rapport à 9h au lieu de 8h", "move the backup to Friday". */
function readChange(plain: string): ScheduleRequest | undefined {
  const [, pronoun, rest] = new RegExp(`^${verbs.change}(?:-(la|le|les))? (.*)$`, "u").exec(plain) ?? [];
  if (rest === undefined || /^(?:en pause|en veille)\b/u.test(rest)) return undefined;
  const instead = rest.replace(/,? ?\b(?:au lieu d[e'u]|instead of|plutot que)\b.*$/u, "");
  const [, target = "", change] =
    /^(.*?)(?: ?\b(?:pour|a|au|to|en|sur)\b) ((?:tous|toutes|chaque|every|each|le |la |les |du |un |une |\d|midi|minuit|noon|midnight|lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche|monday|tuesday|wednesday|thursday|friday|saturday|sunday|daily|weekly|monthly|demain|tomorrow|weekdays|the ).*)$/u.exec(
      pronoun === undefined ? instead : ` ${instead}`,
    ) ?? [];
  if (change === undefined) return undefined;
  // The bare hour of "to 9" keeps its announcing word, or it would be no time.
  const said = /^\d/u.test(change) ? `à ${change}` : change;
  return { type: "change", target: toTarget(target), change: said };
}

function toTarget(text: string): string {
  return text
    .trim()
    .replace(new RegExp(`^${thing} ?`, "u"), "")
    .replaceAll(/^["«“\s]+|["»”\s,]+$/gu, "")
    .trim();
}

export type Match<T> =
  | { readonly type: "one"; readonly item: T }
  | { readonly type: "many"; readonly items: readonly T[] }
  | { readonly type: "none" };

/** Which of some named things is meant: the exact name, else all words of it in a name, else most of them. Several alike are asked about. */
export function matchTarget<T>(target: string, items: readonly T[], nameOf: (item: T) => string): Match<T> {
  const wanted = fold(target).trim();
  const toMatch = (found: readonly T[]): Match<T> | undefined => {
    const [first] = found;
    if (first === undefined) return undefined;
    return found.length === 1 ? { type: "one", item: first } : { type: "many", items: found };
  };
  const [only] = items;
  // "change-la": there is but one.
  if (wanted === "")
    return items.length === 1 && only !== undefined
      ? { type: "one", item: only }
      : items.length > 0
        ? { type: "many", items }
        : { type: "none" };
  const exact = toMatch(items.filter((item) => fold(nameOf(item)).trim() === wanted));
  if (exact) return exact;
  const words = wordsOf(wanted);
  const share = (item: T): number => {
    const name = wordsOf(fold(nameOf(item)));
    return (
      words.filter((word) => name.some((other) => other === word || (word.length > 3 && other.startsWith(word)))).length /
      Math.max(1, words.length)
    );
  };
  const best = Math.max(0, ...items.map(share));
  if (best < 0.5) return { type: "none" };
  return toMatch(items.filter((item) => share(item) === best)) ?? { type: "none" };
}

const small = new Set("de des du le la les un une l d the a an of for my mes ma mon tache task schedule rappel".split(" "));
const wordsOf = (folded: string): string[] => (folded.match(/[\p{L}\p{N}]+/gu) ?? []).filter((word) => !small.has(word));

/** A rule moved by some time, for "décale d'une heure". Undefined when that changes more than the hour. */
export function shiftRule(rule: Rule, byMs: number): Rule | undefined {
  if (rule.type === "once") return { ...rule, at: rule.at + byMs };
  if (rule.type === "every") return { ...rule, anchor: rule.anchor + byMs };
  if (rule.type === "cron") return undefined;
  const minutes = byMs / 60_000;
  const moved = rule.times.map((time) => Number(time.slice(0, 2)) * 60 + Number(time.slice(3)) + minutes);
  // Over midnight it would be another day, and which day a monthly rule means then is not ours to guess.
  if (moved.some((minute) => minute < 0 || minute >= 24 * 60 || !Number.isInteger(minute))) return undefined;
  const times = moved.map(
    (minute) => `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`,
  );
  return { ...rule, times: times.toSorted() };
}
