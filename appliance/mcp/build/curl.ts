/** A curl command in a document, as the request it would make. Read as words, never run. */

export type CurlRequest = {
  readonly method: string;
  readonly url: URL;
  readonly headers: ReadonlyMap<string, string>;
  /** As it would be sent; of forms with files, the parts' names. */
  readonly body: string | undefined;
  readonly parts: readonly { readonly name: string; readonly isFile: boolean }[];
  readonly hasUser: boolean;
};

const commandCharsMax = 20_000;
/** Flags that take a value which says nothing about the request. */
const skipped = new Set([
  "-o",
  "--output",
  "-A",
  "--user-agent",
  "-b",
  "--cookie",
  "-m",
  "--max-time",
  "--connect-timeout",
  "-e",
  "--referer",
  "-w",
  "-x",
  "--proxy",
  "--cacert",
  "--cert",
  "--key",
]);

/** Every command in a text that names a whole address. */
export function curlsIn(text: string): CurlRequest[] {
  const joined = text.replace(/\\\r?\n/gu, " ").slice(0, 100_000);
  const found: CurlRequest[] = [];
  for (const match of joined.matchAll(/(?:^|[\n;|&(]|\$ )\s*curl\s/gu)) {
    const request = toRequest(wordsOf(joined.slice(match.index + match[0].length).slice(0, commandCharsMax)));
    if (request) found.push(request);
  }
  return found;
}

/** The words of one command as a shell would see them: quotes undone, until a line or the command ends. */
function wordsOf(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (let at = 0; at < text.length; at++) {
    const mark = text[at] ?? "";
    if (quote !== "") {
      if (mark === quote) quote = "";
      else if (mark === "\\" && quote === '"') word = (word ?? "") + (text[++at] ?? "");
      else word = (word ?? "") + mark;
    } else if (mark === "'" || mark === '"') {
      quote = mark;
      word ??= "";
    } else if (mark === "\\") word = (word ?? "") + (text[++at] ?? "");
    else if (/[\n;|]/u.test(mark)) break;
    else if (/\s/u.test(mark)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? "") + mark;
  }
  if (word !== undefined) words.push(word);
  return words;
}

function toRequest(words: readonly string[]): CurlRequest | undefined {
  let method: string | undefined;
  let address: string | undefined;
  let body: string | undefined;
  let isQuery = false;
  let hasUser = false;
  const headers = new Map<string, string>();
  const parts: { name: string; isFile: boolean }[] = [];
  for (let at = 0; at < words.length; at++) {
    const [flag = "", inline] = /^--[\w-]+=/u.test(words[at] ?? "") ? (words[at] ?? "").split(/=(.*)/su) : [words[at]];
    const value = (): string => inline ?? words[++at] ?? "";
    if (/^-X./u.test(flag)) method = flag.slice(2).toUpperCase();
    else if (flag === "-X" || flag === "--request") method = value().toUpperCase();
    else if (flag === "-H" || flag === "--header") {
      const [name = "", text = ""] = value().split(/:\s*(.*)/su);
      headers.set(name.trim().toLowerCase(), text);
    } else if (["-d", "--data", "--data-raw", "--data-binary", "--data-urlencode", "--data-ascii"].includes(flag))
      body = body === undefined ? value() : `${body}&${value()}`;
    else if (flag === "--json") {
      body = value();
      headers.set("content-type", "application/json");
    } else if (flag === "-F" || flag === "--form") {
      const [name = "", text = ""] = value().split(/=(.*)/su);
      parts.push({ name, isFile: text.startsWith("@") });
    } else if (flag === "-G" || flag === "--get") isQuery = true;
    else if (flag === "-I" || flag === "--head") method = "HEAD";
    else if (flag === "-u" || flag === "--user") {
      hasUser = value() !== "";
    } else if (flag === "--url") address = value();
    else if (skipped.has(flag)) value();
    else if (!flag.startsWith("-") && address === undefined) address = flag;
  }
  const url = URL.parse((address ?? "").replace(/\$\{?([A-Za-z_]\w*)\}?/gu, "{$1}"));
  if (!url || !/^https?:$/u.test(url.protocol)) return undefined;
  if (isQuery && body !== undefined) {
    for (const [name, text] of new URLSearchParams(body)) url.searchParams.append(name, text);
    body = undefined;
  }
  return { method: method ?? (body !== undefined || parts.length > 0 ? "POST" : "GET"), url, headers, body, parts, hasUser };
}
