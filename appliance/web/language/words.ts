/** The shape both languages fill: texts as `string`, sentences with a value in them as functions. */
import type { en } from "./en.ts";

type Widened<T> = T extends string
  ? string
  : T extends (...args: infer Args) => string
    ? (...args: Args) => string
    : { readonly [Key in keyof T]: Widened<T[Key]> };

export type Words = Widened<typeof en>;
export type Language = "en" | "fr";
