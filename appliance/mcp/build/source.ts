/** Where a document comes from: a file, standard input, or an address that the owner named. */
import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { resolve } from "node:path";
import { NikaError } from "../../../convex/model/error.ts";
import { documentBytesMax } from "./document.ts";

export type Handed = {
  readonly text: string;
  /** For people: a path, an address, or "standard input". */
  readonly from: string;
  readonly sha256: string;
  /** For what the document says relative to itself. */
  readonly url: URL | undefined;
};

const fetchMs = 30_000;
const redirectsMax = 5;

/**
 * Reads it whole. An address is fetched as it stands; it may lead on within its host, or from http to https, and nowhere else, because the owner
 * named this one. Fails with `missing`, `unavailable`, `full`, `denied`.
 */
export async function readHanded(spec: string, signal: AbortSignal): Promise<Handed> {
  if (/^https?:\/\//iu.test(spec)) {
    const url = URL.parse(spec);
    if (!url) throw new NikaError("invalid", `"${spec.slice(0, 200)}" is no address.`);
    if (url.username !== "" || url.password !== "")
      throw new NikaError("invalid", "The address holds a name or password; download the document yourself.");
    const { text, at } = await fetched(url, AbortSignal.any([signal, AbortSignal.timeout(fetchMs)]));
    return { ...toHanded(text, at.href), url: at };
  }
  const path = resolve(spec);
  const file = await open(path).catch((cause: unknown) => {
    throw new NikaError("missing", `There is no file ${path}.`, { cause });
  });
  try {
    const about = await file.stat();
    if (!about.isFile()) throw new NikaError("invalid", `${path} is no file.`);
    if (about.size > documentBytesMax) throw tooLarge();
    return { ...toHanded(await file.readFile("utf8"), path), url: undefined };
  } finally {
    await file.close();
  }
}

/** A text that was handed over as it is. */
export function toHanded(text: string, from: string): Handed {
  return { text, from, sha256: createHash("sha256").update(text).digest("hex"), url: undefined };
}

async function fetched(url: URL, signal: AbortSignal): Promise<{ readonly text: string; readonly at: URL }> {
  let at = url;
  for (let redirects = 0; redirects <= redirectsMax; redirects++) {
    const response = await fetch(at, { signal, redirect: "manual" }).catch((cause: unknown) => {
      throw new NikaError("unavailable", `${at.host} could not be reached.`, { cause });
    });
    const location = response.headers.get("location");
    if (response.status >= 300 && response.status < 400 && location !== null) {
      await response.body?.cancel();
      const next = URL.parse(location, at.href);
      const isSame =
        next?.hostname === at.hostname && (next.protocol === at.protocol ? next.port === at.port : next.protocol === "https:");
      if (!next || !isSame)
        throw new NikaError(
          "denied",
          `${at.host} sends elsewhere, to ${next?.href.slice(0, 200) ?? "no address"}; name that one if you mean it.`,
        );
      at = next;
      continue;
    }
    if (!response.ok) {
      await response.body?.cancel();
      throw new NikaError("unavailable", `${at.href} answers with ${response.status}.`);
    }
    return { text: await readAll(response), at };
  }
  throw new NikaError("unavailable", `${url.host} sends round in circles.`);
}

async function readAll(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > documentBytesMax) throw tooLarge();
    chunks.push(chunk);
  }
  return new TextDecoder().decode(Buffer.concat(chunks));
}

const tooLarge = (): NikaError => new NikaError("full", `The document has more than ${documentBytesMax / 1024 / 1024} MB.`);
