/** Lies one call deeper, in another file. */
export function deep(where: string): never {
  throw new TypeError(`deep in a ${where}`);
}
