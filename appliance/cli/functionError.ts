/** A function's failure as Convex tells it, `[Request ID: …] Server Error`, the error and its stack, in the words of a command line. */
import { oneLine } from "./text.ts";

/** The error itself on one line. */
export function sentenceIn(message: string): string {
  const lines = message.replace(/^\[Request ID: [^\]]*\] Server Error\n?/, "").split("\n");
  const said = lines.filter((line) => !/^\s+at /.test(line)).map((line) => line.replace(/^Uncaught /, ""));
  const sentence = oneLine(said.join(" ").replaceAll("Did you forget to run `npx convex dev` or `npx convex deploy`?", ""));
  return sentence === "" ? "The server gave no reason." : sentence;
}

/** Where in the app it failed: `convex/notes.ts:12`. */
export function placeIn(message: string): string | undefined {
  const [, file, line] = /\.\.\/(convex\/[^\s:()]+):(\d+):\d+/.exec(message) ?? [];
  return file === undefined ? undefined : `${file}:${line}`;
}
