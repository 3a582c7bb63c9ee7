/** Stacks of the app's errors, with places in the app's own files instead of places in the bundle. */
import { readFileSync } from "node:fs";
import { SourceMap } from "node:module";

/** What the bundle is called in a stack. */
export const bundleName = "nika:functions";

/** Turns positions in the bundle into positions in the app's files. */
export type StackMapper = (stack: string) => string;

/** The map is read when the first stack needs it: it is large, and most threads never see an error. */
export function openStackMapper(path: string): StackMapper {
  let map: SourceMap | undefined;
  const position = new RegExp(`${bundleName}:(\\d+):(\\d+)`, "g");
  return (stack) => {
    if (!stack.includes(bundleName)) return withoutForeign(stack);
    map ??= new SourceMap(JSON.parse(readFileSync(path, "utf8")) as ConstructorParameters<typeof SourceMap>[0]);
    const found = map;
    const mapped = withoutForeign(stack).replace(position, (whole, line: string, column: string) => {
      const entry = found.findEntry(Number(line) - 1, Number(column) - 1);
      return "originalSource" in entry
        ? `../convex/${entry.originalSource}:${entry.originalLine + 1}:${entry.originalColumn + 1}`
        : whole;
    });
    return mapped
      .split("\n")
      .filter((line) => !(isFrame.test(line) && line.includes("node_modules")))
      .join("\n");
  };
}

const isFrame = /^\s+at /;

/** Frames of the engine say nothing to the app's author, and where it lies is nobody's business. */
function withoutForeign(stack: string): string {
  return stack
    .split("\n")
    .filter((line) => !(isFrame.test(line) && /file:\/\/|node:|nika:(?!functions)/.test(line)))
    .join("\n");
}
