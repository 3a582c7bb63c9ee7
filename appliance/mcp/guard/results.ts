/** Goes through an answer once: how large it is, what is taken out of it, and what is pointed out. */
import type { Result } from "@modelcontextprotocol/server";
import { cleanText, marksOf, type Mark } from "../../../convex/model/scan.ts";
import { isRecord } from "../meta.ts";

export type Looked = { readonly result: Result; readonly marks: readonly Mark[]; readonly chars: number };

const marksMax = 20;
const depthMax = 64;
/** Bytes of pictures, sound and files: no text. */
const opaque = new Set(["data", "blob", "requestState"]);

/** `redact` takes known secrets out of a text. What is within bounds and holds nothing odd is handed back as it is. */
export function lookAt(result: Result, redact: (text: string) => string): Looked {
  const marks: Mark[] = [];
  let chars = 0;
  const note = (mark: Mark): void => {
    if (marks.length < marksMax) marks.push(mark);
  };
  const look = (text: string, path: string): string => {
    const { text: calm, kinds } = cleanText(text);
    const left = redact(calm);
    for (const kind of kinds)
      note({ path, kind, what: kind === "hidden" ? "held characters that cannot be seen" : "held codes for terminals" });
    if (left !== calm) note({ path, kind: "secret", what: "held a secret of the server's own" });
    for (const mark of marksOf(left, path)) note(mark);
    return left;
  };
  const walk = (value: unknown, path: string, depth: number): unknown => {
    if (typeof value === "string") {
      chars += value.length;
      return look(value, path);
    }
    if (typeof value !== "object" || value === null || depth > depthMax) return value;
    chars += 2;
    if (Array.isArray(value)) {
      let isSame = true;
      const items = value.map((one: unknown, index) => {
        const left = walk(one, `${path}[${index}]`, depth + 1);
        isSame &&= left === one;
        return left;
      });
      return isSame ? value : items;
    }
    let isSame = true;
    const entries = Object.entries(value).map(([key, one]): [string, unknown] => {
      chars += key.length;
      if (opaque.has(key) && typeof one === "string") {
        chars += one.length;
        return [key, one];
      }
      const left = walk(one, path === "" ? key : `${path}.${key}`, depth + 1);
      isSame &&= left === one;
      return [key, left];
    });
    return isSame ? value : Object.fromEntries(entries);
  };
  const left = walk(result, "", 0);
  return { result: isRecord(left) ? left : result, marks, chars };
}
