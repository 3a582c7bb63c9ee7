/** What somebody wants, told by rules alone: the class of a request decides which part of Nika gets it. */
import type { Context } from "./parse.ts";
import { parseRequest, type ScheduleRequest } from "./request.ts";
import { fold } from "./text.ts";

export const queryClasses = [
  "chat",
  "cron",
  "remind",
  "schedule_admin",
  "watch",
  "spawn_pod",
  "ask_memory",
  "ingest",
  "interrupt",
  "approve",
  "tournament",
  "reroute",
  "directive",
  "bridge_send",
  "bridge_pull",
  "queue_status",
  "tool_setup",
  "infra",
  "feedback",
] as const;
export type QueryClass = (typeof queryClasses)[number];

/** Where a schedule is kept: with the state, with one session, or in the machine's own crontab. */
export type ScheduleBackend = "persistent" | "session" | "host";

export type Situation = Context & {
  /** A question waits for this person's yes or no. */
  readonly hasOpenApproval?: boolean;
  /** Remote agents that take messages, by name. */
  readonly targets?: readonly string[];
  /** The writer may ask for work on the machine itself. */
  readonly isOwner?: boolean;
};

export type Route = {
  readonly queryClass: QueryClass;
  /** The rule that decided, for the record and for whoever wonders. */
  readonly because: string;
  /** For `cron` and `remind`. */
  readonly backend?: ScheduleBackend;
  readonly request?: ScheduleRequest;
  /** For `bridge_*`: whom it is about, and the message. */
  readonly target?: string;
  readonly message?: string;
};

type Rule = { readonly queryClass: QueryClass; readonly because: string; readonly pattern: RegExp };

const models = "(?:mistral|claude|gemini|gpt|chatgpt|codex|llama|qwen|deepseek|autre modele|another model|un autre modele)";

/** Before anything is read as a schedule: these words outrank whatever else stands in the request. */
const first: readonly Rule[] = [
  {
    queryClass: "interrupt",
    because: "a stop word",
    pattern:
      /^(?:(?:urgence|urgent|emergency|nika)[ ,!]*)?(?:stop|stoppe|arrete(?:-toi)?|halte|abort|cancel|annule|stop it|stop that)(?: (?:tout(?: de suite)?|everything|all|now|maintenant|immediatement))*[\s!.]*$/u,
  },
  { queryClass: "interrupt", because: "a stop word", pattern: /^emergency stop\b/u },
  { queryClass: "directive", because: "a name with @", pattern: /^@[\p{L}\p{N}_-]+ /u },
  {
    queryClass: "directive",
    because: "an order to a pod",
    pattern: /^(?:dis|demande|tell|ask|say to)\b.*\b(?:au|le|the|a|to)? ?pod\b/u,
  },
];

const infraWords =
  /\b(?:logs?|journaux|conteneurs?|containers?|certificats?|certificates?|base de donnees|la base|database|espace disque|disk space|disque dur|docker|qdrant|pare-feu|firewall|crontab|systemd|nika|serveur(?= (?:redemarre|reboot)))\b/u;
const infraVerbs =
  /^(?:s'il te plait )?(?:purge[rsz]?|redemarre[rsz]?|relance[rsz]?|compacte[rsz]?|renouvelle[rsz]?|nettoie[rsz]?|mets? a jour|met(?:s|tre)? a niveau|verifie[rsz]?|sauvegarde[rsz]?|restart|reboot|compact|renew|clean|upgrade|update|check|rotate|vacuum|prune|purge)\b/u;

const rules: readonly Rule[] = [
  { queryClass: "feedback", because: "a thumb", pattern: /^(?:👍|👎|🙏|❤️)+$/u },
  {
    queryClass: "feedback",
    because: "a verdict on an answer",
    pattern:
      /^(?:non,? )?(?:c'est|ce n'est pas|cette reponse est|that's|that is|this is|it's|not) (?:tres |completely |la |le |the )?(?:faux|fausse|incorrect|wrong|false|bon(?:ne)?\b|right)|^(?:bonne|mauvaise) reponse|^(?:good|wrong|bad|right|correct|great) answer|^non,? le (?:total|montant|prix|nom|chiffre)|^no,? the (?:total|amount|price|name|figure) /u,
  },
  {
    queryClass: "reroute",
    because: "names a model to go on with",
    pattern: new RegExp(
      `\\b(?:continue[rsz]?|reprend[sz]?|passe[rsz]?|bascule[rsz]?|utilise[rsz]?|prend[sz]?|go on|switch|use|change)\\b.*\\b${models}\\b`,
      "u",
    ),
  },
  {
    queryClass: "tournament",
    because: "several versions to choose from",
    pattern:
      /\b(?:tournoi|tournament)\b|\b(?:agents?|pods?) en concurrence\b|\b(?:agents?|pods?) compete\b|\b(?:plusieurs|several|deux|trois|quatre|cinq|two|three|four|five|\d) (?:versions?|variantes?|variants?|propositions?|proposals?|approches?|approaches|options?)\b/u,
  },
  {
    queryClass: "queue_status",
    because: "asks about the queue",
    pattern:
      /\b(?:queue status|(?:etat|statut|status) (?:de |of )?(?:la |the )?(?:file|queue)|la file (?:de|d'attente|est)|in the queue|queue (?:empty|for|of)|(?:messages?|messages) (?:attendent|en attente|(?:are )?(?:pending|waiting))|status of the queue)\b|^(?:is the queue|ou en est la file)/u,
  },
  {
    queryClass: "tool_setup",
    because: "connects an account or a tool",
    pattern:
      /^(?:connecte[rsz]?|branche[rsz]?|relie[rsz]?|connect|link|hook up|set up|configure[rsz]?|installe[rsz]?|install|ajoute[rsz]?|add)\b.*\b(?:drive|agenda|calendar|calendrier|gmail|outlook|notion|github|gitlab|slack|teams|whatsapp|telegram|compte|account|mcp|serveur mcp|outil|tool|connecteur|connector|sharepoint|dropbox|stripe|imap)\b/u,
  },
  {
    queryClass: "ingest",
    because: "something to be kept",
    pattern:
      /^(?:ajoute[rsz]?|retiens|retenir|garde[rsz]?|importe[rsz]?|enregistre[rsz]?|memorise[rsz]?|indexe[rsz]?|ingere[rsz]?|add|remember|keep|import|save|ingest|index|memorize|store)\b.*\b(?:pdf|documents?|fichiers?|files?|dossiers?|folder|mails?|page|contrat|contract|factures?|invoices?|memoire|coffre|vault|photos?|scans?|pieces? jointes?|attached|attachments?|note)\b/u,
  },
  {
    queryClass: "watch",
    because: "waits for something to become so",
    pattern:
      /\b(?:preven[a-z]*|previens|avertis|alerte|dis|fais)(?:-moi| moi)?(?: signe)? (?:quand|des que|lorsque|si|une fois que)\b|\b(?:tell|let|alert|notify|ping|warn)(?: me)?(?: know)?(?: as soon as| when| if| once)\b|^(?:surveille[rsz]?|guette[rsz]?|watch|monitor|keep an eye)\b|^(?:quand|des que|si|when|once|if) .*(?:dis-le-moi|previens-moi|avertis-moi|tell me|let me know)/u,
  },
  {
    queryClass: "ask_memory",
    because: "a question about what is written somewhere",
    pattern:
      /\b(?:contrats?|contracts?|factures?|invoices?|devis|quotes?|manuel|manual|documents?|mails?|compte[s]? rendus?|minutes|assurance|insurance|caution|deposit|numero de serie|serial number|preavis|notice|bail|lease|releve|statement|paye|pay|paid)\b.*\?$|^(?:retrouve[rsz]?|trouve[rsz]?|find|look up)\b.*|^(?:cherche[rsz]?|search|look)\b.*\b(?:mes|dans|my|documents?|notes|mails)\b|^(?:d'apres|selon|according to)\b/u,
  },
];

const work =
  /^(?:prepare[rsz]?|ecri[stvez]+|redige[rsz]?|refai[st]?|refaire|analyse[rsz]?|analyze|code[rsz]?|traduis|traduire|organise[rsz]?|fais|faire|corrige[rsz]?|cree[rsz]?|compile[rsz]?|construis|developpe[rsz]?|range[rsz]?|trie[rsz]?|refactor|write|build|make|translate|tidy|organi[sz]e|do|fix|create|implement|develop|draft|research|design|compile|prepare|sort|rewrite|convert|convertis|genere[rsz]?|generate|explore|etudie[rsz]?|study)\b.{8,}/u;

/** Deterministic and without a model; `chat` when no rule fires. Meant to be shown and to be overruled with one tap. */
export function route(text: string, situation: Situation): Route {
  const plain = fold(text).trim();
  const bridge = readBridge(plain, text, situation.targets ?? []);
  for (const { queryClass, because, pattern } of first) if (pattern.test(plain)) return { queryClass, because };
  if (situation.hasOpenApproval === true && isVerdict(plain))
    return { queryClass: "approve", because: "answers the open question" };
  if (bridge) return bridge;
  const hit = (queryClass: QueryClass): Rule | undefined =>
    rules.find((rule) => rule.queryClass === queryClass && rule.pattern.test(plain));

  for (const name of ["feedback", "reroute", "tournament", "queue_status"] as const) {
    const rule = hit(name);
    if (rule) return { queryClass: name, because: rule.because };
  }
  const isInfra = situation.isOwner !== false && infraVerbs.test(plain) && infraWords.test(plain);
  const request = parseRequest(text, situation);
  const isScheduled = request.type === "create" && request.understood.type !== "none";
  if (isInfra) return { queryClass: "infra", because: "upkeep of the machine", ...(isScheduled && { backend: "host", request }) };
  if (hit("tool_setup") && !isScheduled) return { queryClass: "tool_setup", because: "connects an account or a tool" };
  const waits = hit("watch");
  if (waits && !(request.type === "create" && request.understood.type === "rule"))
    return { queryClass: "watch", because: waits.because };
  if (request.type !== "create") return { queryClass: "schedule_admin", because: `asks to ${request.type} a schedule`, request };
  if (request.understood.type === "rule" && (request.understood.task !== "" || !plain.endsWith("?"))) {
    const { rule } = request.understood;
    const queryClass = rule.type === "once" ? "remind" : "cron";
    const asks = hit("ask_memory");
    // A question that names a date asks about that date.
    if (asks && rule.type === "once" && plain.endsWith("?")) return { queryClass: "ask_memory", because: asks.because };
    if (!(queryClass === "remind" && plain.endsWith("?"))) {
      return {
        queryClass,
        because: queryClass === "cron" ? "says how often" : "says when",
        backend: backendFor(request.understood),
        request,
      };
    }
  }
  for (const name of ["ingest", "ask_memory"] as const) {
    const rule = hit(name);
    if (rule) return { queryClass: name, because: rule.because };
  }
  if (isQuestionOfFact(plain)) return { queryClass: "ask_memory", because: "asks for a fact" };
  if (work.test(plain)) return { queryClass: "spawn_pod", because: "work of several steps" };
  return { queryClass: "chat", because: "no rule fires" };
}

/** First match: bound to a session, or short-lived and frequent with an end; everything else is kept with the state. */
export function backendFor(understood: {
  readonly isSession: boolean;
  readonly stopWhen?: string;
  readonly rule: { readonly type: string; readonly everyMs?: number };
}): ScheduleBackend {
  if (understood.isSession) return "session";
  const { rule, stopWhen } = understood;
  return rule.type === "every" && (rule.everyMs ?? Infinity) < 3_600_000 && stopWhen !== undefined ? "session" : "persistent";
}

const isVerdict = (plain: string): boolean =>
  /^(?:oui|non|ok(?:ay)?|d'accord|vas-y|envoie|refuse|approuve|accepte|yes|no|yep|nope|sure|go(?: ahead)?|deny|approve|reject|accept|never|jamais)\b/u.test(
    plain,
  ) && plain.split(/\s+/u).length <= 5;

const isQuestionOfFact = (plain: string): boolean =>
  plain.endsWith("?") &&
  /^(?:combien|quand|ou est|ou sont|qui a|quel(?:le)?s? (?:est|sont|etait)|dans quel|how much|how many|when (?:does|did|is|was|will)|where (?:is|are|was)|who (?:signed|wrote|sent|paid|is)|which)\b/u.test(
    plain,
  ) &&
  !/\b(?:tu|toi|you|your|blague|joke)\b/u.test(plain);

/** "envoie à homelab: …", "any news from homelab?". A target is one that is known, or one named with a colon after it. */
function readBridge(plain: string, text: string, targets: readonly string[]): Route | undefined {
  const names =
    targets.length === 0 ? "[\\p{L}\\p{N}_-]+" : targets.map((name) => fold(name).replaceAll(/[^\p{L}\p{N}_-]/gu, ".")).join("|");
  const send = new RegExp(
    `^(?:envoie|envoyer|dis|transmets|message|send|tell|forward|relay)(?: (?:au|a|to|le|un|message|bridge|agent))* (${names}) ?: ?`,
    "u",
  ).exec(plain);
  if (send?.[1] !== undefined)
    return {
      queryClass: "bridge_send",
      because: "a message to a remote agent",
      target: send[1],
      message: text.normalize("NFC").trim().slice(send[0].length),
    };
  const loose = new RegExp(
    `^(?:envoie|send)(?: (?:au|a|to|le|la))* (?:bridge|agent) (${names}) (?:le message |the message |: ?)?`,
    "u",
  ).exec(plain);
  if (loose?.[1] !== undefined)
    return {
      queryClass: "bridge_send",
      because: "a message to a remote agent",
      target: loose[1],
      message: text.normalize("NFC").trim().slice(loose[0].length),
    };
  const pull = new RegExp(
    `\\b(?:quoi de neuf|nouvelles?|reponses?|mises? a jour|a repondu|repondu|news|updates?|answer(?:ed)?|repl(?:y|ied))\\b.*\\b(${names})\\b|\\b(?:qu'a repondu|what did|what has) (${names})\\b`,
    "u",
  ).exec(plain);
  if (pull && targets.length > 0)
    return { queryClass: "bridge_pull", because: "asks what a remote agent said", target: pull[1] ?? pull[2] ?? "" };
  return undefined;
}
