import type { PDFPageProxy } from "pdfjs-dist/types/src/display/api.js";
import { tidied } from "../decode.ts";
import { apply, toMatrix } from "./matrix.ts";
import type { Run } from "./shape.ts";

/**
 * The letters of a page by the library's own extraction, which puts right-to-left writing into reading order and knows vertical
 * writing. Slower, and it does not tell what is hidden.
 */
export async function foreignRuns(page: PDFPageProxy): Promise<{ runs: Run[]; turned: [] }> {
  const { items } = await page.getTextContent({ includeMarkedContent: false });
  const view = toMatrix(page.getViewport({ scale: 1 }).transform);
  const runs: Run[] = [];
  for (const item of items) {
    if (!("str" in item) || item.str.trim() === "") continue;
    const matrix = toMatrix(item.transform);
    if (!matrix || !view) continue;
    const [x, y] = apply(view, matrix[4], matrix[5]);
    const size = Math.hypot(matrix[2], matrix[3]) || item.height || 10;
    runs.push({ text: tidied(item.str), x, right: x + item.width, y, size, isBold: false });
  }
  return { runs, turned: [] };
}
