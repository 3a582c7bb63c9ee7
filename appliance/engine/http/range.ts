/** The Range header (RFC 9110, section 14): one range of bytes or none. */

export type ByteRange =
  | { readonly type: "whole" }
  /** Both ends included. */
  | { readonly type: "part"; readonly first: number; readonly last: number }
  | { readonly type: "unsatisfiable" };

/** Another unit, or nonsense, means the whole, as the standard asks; several ranges are refused, as the original does. */
export function parseRange(header: string | undefined, sizeBytes: number): ByteRange {
  const [, list] = /^bytes=(.*)$/.exec(header?.trim() ?? "") ?? [];
  if (list === undefined) return { type: "whole" };
  if (list.includes(",")) return { type: "unsatisfiable" };
  const [, from = "", to = ""] = /^\s*(\d*)\s*-\s*(\d*)\s*$/.exec(list) ?? [];
  if (from === "" && to === "") return { type: "whole" };
  const first = from === "" ? Math.max(0, sizeBytes - Number(to)) : Number(from);
  const last = from === "" || to === "" ? sizeBytes - 1 : Math.min(Number(to), sizeBytes - 1);
  if (from !== "" && to !== "" && Number(to) < Number(from)) return { type: "whole" };
  return first > last ? { type: "unsatisfiable" } : { type: "part", first, last };
}
