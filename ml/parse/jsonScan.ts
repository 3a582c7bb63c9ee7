/**
 * Reads JSON without recursion and without building it: each scalar is handed out with its path and line. Depth costs no stack, a
 * number keeps every digit, and a file of a million keys takes memory for its text only.
 */

export type Leaf = {
  /** Keys and, for array items, positions counted from 1. Shared between calls: read it, do not keep it. */
  readonly path: readonly (string | number)[];
  /** A string's content, or the literal as written. */
  readonly text: string;
  /** Counted from 1. */
  readonly line: number;
};

/** Nothing people write is deeper; what is deeper is checked but not handed out. */
const depthMax = 500;

const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/uy;
const space = /[ \t\n\r]*/uy;
const plain = /[^"\\\u0000-\u001f]*/uy; // oxlint-disable-line no-control-regex -- JSON forbids exactly these

/** Whether `source` is one whole JSON value. Calls `onLeaf` on the way, so a caller may have seen leaves of a broken file. */
export function scanJson(source: string, onLeaf: (leaf: Leaf) => void): boolean {
  return new Scanner(source, onLeaf).run();
}

class Scanner {
  readonly #source: string;
  readonly #onLeaf: (leaf: Leaf) => void;
  readonly #path: (string | number)[] = [];
  /** "{" or "[" for each open container. */
  readonly #open: string[] = [];
  #at = 0;
  #line = 1;
  #lineAt = 0;

  constructor(source: string, onLeaf: (leaf: Leaf) => void) {
    this.#source = source;
    this.#onLeaf = onLeaf;
  }

  run(): boolean {
    if (!this.#value()) return false;
    while (this.#open.length > 0) {
      this.#skip(space);
      const char = this.#source[this.#at];
      const isArray = this.#open.at(-1) === "[";
      if (char === (isArray ? "]" : "}")) this.#close();
      else if (char !== "," || !this.#next(isArray)) return false;
    }
    this.#skip(space);
    return this.#at === this.#source.length;
  }

  #close(): void {
    this.#at += 1;
    this.#open.pop();
    this.#path.pop();
  }

  #next(isArray: boolean): boolean {
    this.#at += 1;
    if (!isArray) return this.#key() && this.#value();
    const last = this.#path.length - 1;
    this.#path[last] = (this.#path[last] as number) + 1;
    return this.#value();
  }

  /** Reads a scalar, or opens containers until it reaches one or an empty container. */
  #value(): boolean {
    for (;;) {
      this.#skip(space);
      const char = this.#source[this.#at];
      if (char === "[" || char === "{") {
        this.#at += 1;
        this.#skip(space);
        this.#open.push(char);
        this.#path.push(char === "[" ? 1 : "");
        if (this.#source[this.#at] === (char === "[" ? "]" : "}")) {
          this.#close();
          return true;
        }
        if (char === "{" && !this.#key()) return false;
        continue;
      }
      return this.#scalar(char);
    }
  }

  #scalar(char: string | undefined): boolean {
    const start = this.#at;
    if (char === '"') {
      const text = this.#string();
      if (text === undefined) return false;
      this.#emit(text, start);
      return true;
    }
    for (const literal of ["true", "false", "null"]) {
      if (this.#source.startsWith(literal, this.#at)) {
        this.#at += literal.length;
        this.#emit(literal, start);
        return true;
      }
    }
    const length = this.#skip(number);
    if (length === 0) return false;
    this.#emit(this.#source.slice(start, this.#at), start);
    return true;
  }

  #key(): boolean {
    this.#skip(space);
    if (this.#source[this.#at] !== '"') return false;
    const key = this.#string();
    this.#skip(space);
    if (key === undefined || this.#source[this.#at] !== ":") return false;
    this.#at += 1;
    this.#path[this.#path.length - 1] = key;
    return true;
  }

  /** The string that opens here, or undefined when it is broken. */
  #string(): string | undefined {
    const start = this.#at;
    this.#at += 1;
    let isEscaped = false;
    for (;;) {
      this.#skip(plain);
      const char = this.#source[this.#at];
      if (char === '"') break;
      if (char !== "\\") return undefined;
      isEscaped = true;
      this.#at += 2;
    }
    this.#at += 1;
    if (!isEscaped) return this.#source.slice(start + 1, this.#at - 1);
    try {
      return (JSON.parse(this.#source.slice(start, this.#at)) as string).toWellFormed();
    } catch {
      return undefined;
    }
  }

  #emit(text: string, start: number): void {
    if (this.#path.length > depthMax) return;
    for (let at = this.#source.indexOf("\n", this.#lineAt); at !== -1 && at < start; at = this.#source.indexOf("\n", at + 1)) {
      this.#line += 1;
      this.#lineAt = at + 1;
    }
    this.#onLeaf({ path: this.#path, text, line: this.#line });
  }

  #skip(pattern: RegExp): number {
    pattern.lastIndex = this.#at;
    const length = pattern.exec(this.#source)?.[0].length ?? 0;
    this.#at += length;
    return length;
  }
}
