/** A task that is the call of something by its name: "run invoice-sums", "lance la fonction releve-prix avec Paris". */
import { fold } from "./text.ts";

export type NamedCall = {
  readonly name: string;
  /** What it is to be given, in the writer's words; empty when nothing was said. */
  readonly given: string;
};

const verbs =
  "(?:run|call|execute|start|launch|trigger|invoke|fire|lance[rsz]?|execute[rsz]?|appelle[rsz]?|appeler|declenche[rsz]?|demarre[rsz]?|fai[st](?:es)? tourner)";
const article = "(?:(?:la|ma|my|the|une?) )?(?:(?:fonction|function|script) )?";
const given = "(?: (?:with|avec|on|sur|for|pour) |: ?)";

/** Undefined when the task is none, or names nothing that is known: then it is for somebody else to understand. */
export function readCall(task: string, names: readonly string[]): NamedCall | undefined {
  const text = task.normalize("NFC").trim();
  const plain = fold(text);
  // The longest first, so that "report-daily" is not taken for "report".
  for (const name of names.toSorted((a, b) => b.length - a.length)) {
    // Said aloud, a hyphen is a space.
    const said = name.replaceAll("-", "[- ]");
    const found = new RegExp(`^${verbs} ${article}["«“]? ?${said} ?["»”]?(?:${given}(.+)|[.!]*)$`, "u").exec(plain);
    if (!found) continue;
    const [, rest = ""] = found;
    // The writer's own letters: folding keeps their places.
    return { name, given: text.slice(text.length - rest.length).trim() };
  }
  return undefined;
}
