import type { Block } from "./block.ts";

/** By the end of a name. What people also write by hand as text (xml, csv, json, md, html) is told by its content instead. */
const languages: Readonly<Record<string, string>> = {
  ts: "typescript",
  tsx: "typescript",
  mts: "typescript",
  cts: "typescript",
  js: "javascript",
  jsx: "javascript",
  mjs: "javascript",
  cjs: "javascript",
  py: "python",
  pyi: "python",
  rb: "ruby",
  go: "go",
  rs: "rust",
  java: "java",
  kt: "kotlin",
  kts: "kotlin",
  scala: "scala",
  groovy: "groovy",
  c: "c",
  h: "c",
  cc: "cpp",
  cpp: "cpp",
  cxx: "cpp",
  hpp: "cpp",
  hh: "cpp",
  cs: "csharp",
  fs: "fsharp",
  vb: "visualbasic",
  swift: "swift",
  m: "objectivec",
  php: "php",
  pl: "perl",
  pm: "perl",
  lua: "lua",
  r: "r",
  jl: "julia",
  dart: "dart",
  ex: "elixir",
  exs: "elixir",
  erl: "erlang",
  hs: "haskell",
  clj: "clojure",
  ml: "ocaml",
  zig: "zig",
  nim: "nim",
  sh: "shell",
  bash: "shell",
  zsh: "shell",
  fish: "shell",
  ps1: "powershell",
  bat: "batch",
  sql: "sql",
  css: "css",
  scss: "scss",
  less: "less",
  vue: "vue",
  svelte: "svelte",
  proto: "protobuf",
  graphql: "graphql",
  tf: "terraform",
  gradle: "groovy",
  cmake: "cmake",
  asm: "assembly",
  s: "assembly",
  sol: "solidity",
  tex: "latex",
  f90: "fortran",
  pas: "pascal",
  vhd: "vhdl",
  v: "verilog",
  yaml: "yaml",
  yml: "yaml",
  toml: "toml",
  ini: "ini",
  cfg: "ini",
  conf: "ini",
  properties: "ini",
  env: "ini",
  nix: "nix",
  gcode: "gcode",
};
const fileNames: Readonly<Record<string, string>> = {
  dockerfile: "dockerfile",
  makefile: "makefile",
  gemfile: "ruby",
  rakefile: "ruby",
  jenkinsfile: "groovy",
  "cmakelists.txt": "cmake",
};
const interpreters: readonly (readonly [RegExp, string])[] = [
  [/\b(?:ba|z|da|k)?sh\b/u, "shell"],
  [/python/u, "python"],
  [/node|deno|bun/u, "javascript"],
  [/ruby/u, "ruby"],
  [/perl/u, "perl"],
  [/php/u, "php"],
  [/Rscript/u, "r"],
];
/** Lines that hardly stand in prose; two different ones make it likely, and most lines must look like code as well. */
const signs: readonly (readonly [string, readonly RegExp[]])[] = [
  ["php", [/^<\?php\b/mu]],
  [
    "c",
    [
      /^#include\s*[<"]/mu,
      /^(?:static |const |unsigned )*(?:int|void|char|double|float|struct \w+)\s+\**\w+\s*\([^;]*\)\s*\{?$/mu,
    ],
  ],
  ["go", [/^package \w+$/mu, /^func (?:\([^)]*\) )?\w+\(/mu]],
  ["rust", [/^(?:pub )?fn \w+[<(]/mu, /^use [\w:]+(?:::\{|;)/mu, /\blet mut \w+/u]],
  ["java", [/^(?:public |final |abstract )*(?:class|interface) \w+/mu, /^import [\w.]+;$/mu, /\bpublic static void main\(/u]],
  [
    "typescript",
    [
      /^import .* from ["'].+["'];?$/mu,
      /^(?:export )?(?:interface|type) \w+(?:<.*>)?\s*[={]/mu,
      /\): (?:string|number|void|boolean|Promise<)/u,
    ],
  ],
  [
    "javascript",
    [/^(?:const|let|var) \w+ = (?:require\(|function|\(|async)/mu, /^(?:async )?function \w+\(.*\) \{$/mu, /=> \{$/mu],
  ],
  ["python", [/^(?:from [\w.]+ )?import [\w., *()]+$/mu, /^\s*def \w+\(.*\).*:$/mu, /^class \w+.*:$/mu, /^if __name__ == /mu]],
  ["sql", [/^create\s+(?:table|view|index)\s/imu, /^insert\s+into\s/imu, /^\s*select\s.+\sfrom\s/imu]],
];

/** The language of a text that is source code, by its name or its content; undefined when it is none. */
export function codeLanguageOf(text: string, name: string): string | undefined {
  const base = (name.split(/[/\\]/u).at(-1) ?? name).toLowerCase();
  const extension = /\.([a-z0-9]{1,10})$/u.exec(base)?.[1] ?? "";
  const named = fileNames[base] ?? languages[extension];
  if (named !== undefined) return named;
  const head = text.slice(0, 16_384);
  const shebang = /^#!\s*(\S.*)$/mu.exec(head.slice(0, 200))?.[1];
  if (shebang !== undefined && head.startsWith("#!")) return interpreters.find(([pattern]) => pattern.test(shebang))?.[1];
  if (extension !== "" && extension !== "txt") return undefined;
  if (!mostlyCode(head)) return undefined;
  return signs.find(
    ([, patterns]) => patterns.filter((pattern) => pattern.test(head)).length >= Math.min(2, patterns.length),
  )?.[0];
}

function mostlyCode(head: string): boolean {
  const lines = head.split("\n").filter((line) => line.trim() !== "");
  const alike = lines.filter((line) =>
    /[;{}():,\]]\s*$|^\s*(?:[#/*@}]|import |from |return |def |if |for |end\b)/u.test(line),
  ).length;
  return lines.length >= 3 && alike >= lines.length * 0.5;
}

/** How a declaration at the left margin begins; the first group that matched is its name. */
const symbols: Readonly<Record<string, RegExp>> = {
  typescript:
    /^(?:export )?(?:default )?(?:declare )?(?:abstract )?(?:async )?(?:(?:function\*?|class|interface|type|enum|namespace) ([\w$]+)|(?:const|let|var) ([\w$]+)(?::[^=]+)? = (?:async )?(?:function|\([^)]*\)[^=]*=>|\w+ =>))/u,
  python: /^(?:async )?(?:def|class) (\w+)/u,
  ruby: /^(?:def|class|module) ([\w.:?!]+)/u,
  go: /^(?:func (?:\([^)]*\) )?(\w+)|type (\w+) )/u,
  rust: /^(?:pub(?:\([^)]*\))? )?(?:async |unsafe |const )*(?:fn|struct|enum|trait|mod|impl(?:<[^>]*>)?) ([\w:<>]+)/u,
  java: /^\s{0,4}(?:(?:public|private|protected|static|final|abstract|internal|sealed|override|async|open|data) )+(?:class |interface |enum |record |fun |[\w<>[\], ?]+ )?(\w+)\s*[({<]/u,
  c: /^(?:[A-Za-z_][\w*&:<>, ]*[ *&])?([A-Za-z_]\w*(?:::\w+)?)\([^;]*\)?\s*\{?$|^(?:class|struct|enum|namespace) (\w+)/u,
  php: /^\s{0,4}(?:(?:public|private|protected|static|final|abstract) )*(?:function|class|interface|trait) (\w+)/u,
  shell: /^(?:function )?([\w-]+)\s*\(\)/u,
  sql: /^create\s+(?:or\s+replace\s+)?(?:table|view|function|procedure|index|trigger)\s+(?:if\s+not\s+exists\s+)?([\w."`]+)/iu,
};
const alike: Readonly<Record<string, string>> = {
  javascript: "typescript",
  vue: "typescript",
  svelte: "typescript",
  cpp: "c",
  objectivec: "c",
  csharp: "java",
  kotlin: "java",
  scala: "java",
  swift: "java",
  dart: "java",
};
/** Words that look like a call at the margin and are none. */
const keywords = new Set("if for while switch return else do catch sizeof defined".split(" "));
const symbolsMax = 2_000;

/** Source code as stretches of code, each under the name of what it declares, with lines. */
export function codeBlocks(text: string, language: string): Block[] {
  const pattern = symbols[alike[language] ?? language];
  const lines = text.split("\n");
  const blocks: Block[] = [];
  let first = 0;
  let found = 0;
  const flush = (next: number): void => {
    let [from, to] = [first, next];
    while (from < to && lines[from]?.trim() === "") from += 1;
    while (to > from && lines[to - 1]?.trim() === "") to -= 1;
    if (to > from)
      blocks.push({ type: "code", text: lines.slice(from, to).join("\n"), language, place: { lines: { from: from + 1, to } } });
    first = next;
  };
  for (const [at, line] of lines.entries()) {
    if (!pattern || line.length > 300 || found >= symbolsMax) continue;
    const match = pattern.exec(line);
    const name = match?.slice(1).find((group) => group !== undefined);
    if (name === undefined || keywords.has(name)) continue;
    // What is said over a declaration belongs to it.
    let start = at;
    while (start > first && /^\s*(?:\/\/|\/?\*|#(?!include|define)|--|@|\[)/u.test(lines[start - 1] ?? "")) start -= 1;
    flush(start);
    found += 1;
    blocks.push({ type: "heading", level: 3, text: name, place: { lines: { from: at + 1, to: at + 1 } } });
  }
  flush(lines.length);
  return blocks;
}
