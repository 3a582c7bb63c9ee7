import type { EntityType, Format } from "../../convex/model/document.ts";
import type { Block } from "./block.ts";

type Rule = { readonly type: EntityType; readonly name: RegExp; readonly words: readonly RegExp[]; readonly enough: number };

/** What is read of a document to tell what sort of thing it is: its beginning says it, or nothing does. */
const headChars = 6_000;
/** A name or a title that says it outright counts as much as this many words in the text. */
const nameWeight = 2;

const named = (words: string): RegExp => new RegExp(`(?:^|[^\\p{L}])(?:${words})(?:[^\\p{L}]|$)`, "iu");

/**
 * In the order they are tried; of those that reach `enough` the one with most signs is it, the first of equals. `name` is looked for in
 * the title and the file name, each of `words` counts once when it is in the text.
 */
const rules: readonly Rule[] = [
  {
    type: "invoice",
    name: named("factures?|invoices?|avoir|credit note|receipt|re[çc]u"),
    words: [
      /\bfacture\b|\binvoice\b/iu,
      /\b(?:tva|vat)\b/iu,
      /total\s*(?:ttc|h\.?t|due)|amount due|net à payer|montant (?:ttc|dû)|balance due/iu,
      /(?:facture|invoice)\s*(?:n[°ºo.]*|no\.?|number|#)\s*[:.]?\s*\S*\d/iu,
      /date d['’]échéance|échéance|due date|payment terms|conditions de (?:paiement|règlement)/iu,
      /\biban\b|\bsiret\b|n° de tva|vat (?:no|number|reg)/iu,
    ],
    enough: 3,
  },
  {
    type: "quote",
    name: named("devis|quotes?|quotation|estimate|proforma|proposition commerciale|offre de prix"),
    words: [
      /\bdevis\b|\bquot(?:e|ation)\b|\bestimate\b/iu,
      /valable (?:jusqu|pendant)|valid (?:until|for)|validité de l['’]offre|offre valable/iu,
      /bon pour accord|accepted by|signature (?:du client|of the customer)/iu,
      /total\s*(?:ttc|h\.?t)|subtotal|sous-total/iu,
      /prix unitaire|unit price|p\.?u\.? h\.?t/iu,
    ],
    enough: 3,
  },
  {
    type: "contract",
    name: named(
      "contrats?|contracts?|agreement|bail|lease|nda|avenant|convention|conditions g[ée]n[ée]rales|terms and conditions",
    ),
    words: [
      /entre les soussignés|ci-après|il a été (?:convenu|arrêté)|hereinafter|by and between|whereas/iu,
      /présent (?:contrat|bail|accord)|this (?:agreement|contract|lease)/iu,
      /^\s*(?:article|clause)\s+\d+/imu,
      /\brésiliation\b|\btermination\b|\bpréavis\b|notice period/iu,
      /loi applicable|droit applicable|governing law|jurisdiction|tribunal/iu,
      /fait (?:à|en) .{1,60}(?:exemplaires|le \d)|in witness whereof|signed (?:by|on)/iu,
      /\bbailleur\b|\blocataire\b|\blandlord\b|\btenant\b|\bprestataire\b|\blicensor\b/iu,
    ],
    enough: 3,
  },
  {
    type: "resume",
    name: named("cv|curriculum(?: vitae)?|r[ée]sum[ée]"),
    words: [
      /expériences? professionnelles?|work experience|professional experience|employment history/iu,
      /^(?:formation|education|études|diplômes)\b/imu,
      /^(?:compétences|skills)\b/imu,
      /^(?:langues|languages)\b/imu,
      /centres? d['’]intérêt|hobbies|loisirs|references available/iu,
    ],
    enough: 3,
  },
  {
    type: "minutes",
    name: named("minutes|compte[- ]rendu|proc[èe]s[- ]verbal|pv"),
    words: [
      /compte[- ]rendu|procès[- ]verbal|minutes of|meeting minutes/iu,
      /^(?:présents?|excusés?|absents?|attendees|present|apologies)\b\s*:?/imu,
      /ordre du jour|agenda/iu,
      /^(?:décisions?|decisions?|actions?|relevé de décisions)\b/imu,
      /prochaine réunion|next meeting|séance (?:est )?levée|meeting (?:was )?(?:closed|adjourned)/iu,
    ],
    enough: 3,
  },
  {
    type: "drawing",
    name: named("plans?|drawings?|schéma|croquis|blueprint|dessin|cartouche"),
    words: [
      /^\s*(?:échelle|scale)\s*:?\s*1\s*[:/]\s*\d+/imu,
      /\b(?:dessiné|drawn) (?:par|by)\b/iu,
      /\btolérances?\b.{0,40}(?:iso 2768|générales)|general tolerances|iso 2768/iu,
      /[⌀Ø]\s?\d|\bM\d{1,2}x\d|\bR\d{1,3}\b.*\bR\d{1,3}\b/u,
      /\b(?:sheet|feuille|folio)\s+\d+\s*(?:\/|of|sur)\s*\d+/iu,
      /third angle|first angle|projection européenne/iu,
    ],
    enough: 2,
  },
  {
    type: "manual",
    name: named("manuel|manual|notice|mode d['’]emploi|user guide|guide|handbook|instructions?"),
    words: [
      /mode d['’]emploi|user (?:manual|guide)|notice d['’]utilisation|operating instructions|instruction manual/iu,
      /^(?:avertissement|attention|warning|caution|danger)\b/imu,
      /dépannage|troubleshooting/iu,
      /^(?:installation|mise en service|getting started|maintenance|entretien)\b/imu,
      /caractéristiques techniques|technical (?:data|specifications)/iu,
      /^\s*(?:étape|step)\s+\d+/imu,
    ],
    enough: 3,
  },
  {
    type: "report",
    name: named("rapports?|reports?|étude|study|audit|bilan|analyse|analysis|white ?paper"),
    words: [
      /\brapport\b|\breport\b/iu,
      /^(?:\d+\.?\s*)?(?:introduction|contexte|context|background)\b/imu,
      /^(?:\d+\.?\s*)?(?:conclusions?|recommandations?|recommendations?)\b/imu,
      /^(?:\d+\.?\s*)?(?:méthodologie|méthode|methods?|methodology|résultats?|results|findings)\b/imu,
      /executive summary|résumé (?:exécutif|opérationnel)|synthèse|^(?:abstract|summary)\b/imu,
    ],
    enough: 3,
  },
  {
    type: "letter",
    name: named("lettres?|letters?|courrier"),
    words: [
      /^(?:madame|monsieur|chers?|chère|dear|to whom it may concern)\b.{0,60},?$/imu,
      /veuillez (?:agréer|recevoir)|je vous prie d['’]|(?:yours|your) (?:sincerely|faithfully)|(?:kind|best) regards|cordialement|^sincerely/imu,
      /^(?:objet|subject|re)\s*:/imu,
      /\b(?:le|on)\s+\d{1,2}(?:er|st|nd|rd|th)?\s+\p{L}{3,10}\s+\d{4}|^\p{L}+, le \d/imu,
    ],
    enough: 3,
  },
];

/** Formats that say it all. */
const plainTypes: Partial<Record<Format, EntityType>> = {
  eml: "email",
  mbox: "email",
  vcf: "contact",
  ics: "event",
  code: "code",
  ipynb: "code",
  csv: "table",
  xlsx: "table",
  ods: "table",
};

/**
 * What sort of thing a document is, by its format, its title and name, and words in its beginning, French and English. Rules, not
 * learning: "document" when none is sure.
 */
export function entityTypeOf({
  format,
  title,
  name,
  blocks,
}: {
  readonly format: Format;
  readonly title: string;
  readonly name: string;
  readonly blocks: readonly Block[];
}): EntityType {
  const plain = plainTypes[format];
  if (plain === "table") return tableType(title, name);
  if (plain !== undefined) return plain;
  const head = headOf(blocks);
  const label = `${title}\n${name.split(/[/\\]/u).at(-1) ?? name}`.replaceAll(/[_.-]/gu, " ");
  let best: { type: EntityType; score: number } | undefined;
  for (const rule of rules) {
    const found = rule.words.filter((word) => word.test(head)).length;
    const score = found + (rule.name.test(label) ? nameWeight : 0);
    // A name alone is a claim; one word in the text bears it out.
    if (found >= 1 && score >= rule.enough && score > (best?.score ?? 0)) best = { type: rule.type, score };
  }
  if (best) return best.type;
  if (format === "image") return "picture";
  if (isLog(head, name)) return "log";
  return mostlyTables(blocks) ? "table" : "document";
}

/** A workbook can be an invoice, but only says so in its name. */
function tableType(title: string, name: string): EntityType {
  const label = `${title} ${name}`.replaceAll(/[_.-]/gu, " ");
  if (rules.find(({ type }) => type === "invoice")?.name.test(label)) return "invoice";
  return rules.find(({ type }) => type === "quote")?.name.test(label) ? "quote" : "table";
}

function headOf(blocks: readonly Block[]): string {
  let head = "";
  for (const block of blocks) {
    if (head.length > headChars) break;
    if (block.type === "list") head += `${block.items.map((item) => item.text).join("\n")}\n`;
    else if (block.type === "table")
      head += `${[block.columns, ...block.rows.slice(0, 40)].map((row) => row.join(" ")).join("\n")}\n`;
    else if (block.type === "figure") head += `${block.caption ?? ""}\n${block.text ?? ""}\n`;
    else head += `${block.text}\n`;
  }
  return head.slice(0, headChars * 2);
}

/** Most lines begin with a time, or a level after one. */
function isLog(head: string, name: string): boolean {
  const lines = head.split("\n", 60).filter((line) => line.trim() !== "");
  const dated = lines.filter((line) =>
    /^\s*\[?(?:\d{4}-\d\d-\d\d[T ]\d\d:\d\d|\d\d?\/\p{L}{3}\/\d{4}:|\p{L}{3} [ \d]\d \d\d:\d\d:\d\d|\d\d:\d\d:\d\d)|^\S+ \S+ \S+ \[\d\d\/\p{L}{3}\/\d{4}:|\b(?:ERROR|WARN|INFO|DEBUG)\b/u.test(
      line,
    ),
  ).length;
  return lines.length >= (/\.log(?:\.\d+)?$/iu.test(name) ? 2 : 5) && dated >= lines.length * 0.7;
}

function mostlyTables(blocks: readonly Block[]): boolean {
  let tables = 0;
  let rest = 0;
  for (const block of blocks) {
    if (block.type === "table") tables += block.rows.reduce((sum, row) => sum + row.join("").length, 0);
    else if ("text" in block) rest += block.text?.length ?? 0;
  }
  return tables > 200 && tables > rest * 4;
}
