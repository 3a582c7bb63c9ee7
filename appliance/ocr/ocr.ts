import type { Ocr, OcrPicture, OcrText } from "../../functions/ports/ocr.ts";
import { openProcesses, ProcessLostError } from "../processes/processes.ts";
import { languageOfWords, languagesOfScript, wantsScript } from "./languages.ts";
import { findTesseract, readNative, readScript, type NativeTesseract } from "./native.ts";
import { readTsv } from "./tsv.ts";
import type { WasmRequest } from "./wasmProcess.ts";

export type OcrOptions = {
  /** Three-letter names as Tesseract has them. Those that are not installed are left out. */
  readonly languages?: readonly string[];
  /** Which build to use; the installed one is faster. */
  readonly build?: "best" | "native" | "wasm";
  /** Where the program may be; where systems put it unless this says. */
  readonly paths?: readonly string[];
  readonly log?: (line: string) => void;
};

const languagesDefault = ["fra", "eng"];
/** The languages whose models come with Nika. */
const shipped = new Set(["fra", "eng"]);
const timeLimitMs = 60_000;
/** The engine with two languages and a full page at 200 dpi took 170. */
const memoryMiBMax = 320;
const idleMs = 20_000;

/**
 * Tesseract: the installed program when there is one with the languages, its WebAssembly build otherwise. Found out, and said in the log,
 * when the first picture comes: most days there is none.
 */
export function openOcr({ languages = languagesDefault, build = "best", paths, log = () => {} }: OcrOptions = {}): Ocr {
  let chosen: Promise<Ocr> | undefined;
  const choose = async (): Promise<Ocr> => {
    const ocr = await chooseBuild(languages, { build, paths }, log);
    log(`text recognition: ${ocr.label}`);
    return ocr;
  };
  return {
    label: "tesseract",
    read: async (picture, signal) => await (await (chosen ??= choose())).read(picture, signal),
    close: async () => await (await chosen)?.close(),
  };
}

async function chooseBuild(
  languages: readonly string[],
  { build, paths }: Pick<OcrOptions, "build"> & { paths: OcrOptions["paths"] | undefined },
  log: (line: string) => void,
): Promise<Ocr> {
  const native = build === "wasm" ? undefined : await findTesseract(paths);
  const known = native ? languages.filter((language) => native.languages.has(language)) : [];
  if (native && (known.length > 0 || build === "native")) {
    if (known.length < languages.length) log(`text recognition: no model of tesseract for ${missing(languages, known)}`);
    return nativeOcr(native, known.length > 0 ? known : ["eng"]);
  }
  const own = languages.filter((language) => shipped.has(language));
  if (own.length < languages.length)
    log(`text recognition: no model with Nika for ${missing(languages, own)}; install tesseract-ocr for it`);
  return wasmOcr(own.length > 0 ? own : languagesDefault);
}

function missing(languages: readonly string[], known: readonly string[]): string {
  return languages.filter((language) => !known.includes(language)).join(", ");
}

function nativeOcr(native: NativeTesseract, languages: readonly string[]): Ocr {
  return {
    label: `tesseract ${native.version}, installed (${languages.join("+")})`,
    read: async (picture, signal) => {
      const first = await readNative(native, picture, { languages, signal });
      if (!first || picture.type !== "page") return first;
      const others = await otherLanguages(native, { picture, first, used: languages, signal });
      if (others.length === 0) return first;
      const second = await readNative(native, picture, { languages: others, signal });
      return second && second.confidence > first.confidence ? second : first;
    },
    close: async () => {},
  };
}

type FirstLook = {
  readonly picture: OcrPicture;
  readonly first: OcrText;
  readonly used: readonly string[];
  readonly signal: AbortSignal;
};

/** Languages that a page is rather in than in those it was read with: told by its words, or by its script where those are noise. */
async function otherLanguages(native: NativeTesseract, { picture, first, used, signal }: FirstLook): Promise<string[]> {
  const known = { installed: native.languages, used };
  const spoken = languageOfWords(first, known);
  if (spoken !== undefined) return [spoken];
  if (!wantsScript(first, known)) return [];
  return languagesOfScript((await readScript(native, picture, signal)) ?? "", known);
}

function wasmOcr(languages: readonly string[]): Ocr {
  const entry = new URL("wasmProcess.ts", import.meta.url);
  const processes = openProcesses<WasmRequest, string>({ entry, processesMax: 1, memoryMiBMax, timeLimitMs, idleMs });
  return {
    label: `tesseract in WebAssembly (${languages.join("+")})`,
    read: async (picture, signal): Promise<OcrText | undefined> => {
      try {
        const request = { languages, type: picture.type };
        return readTsv(await processes.call(request, { signal, bytes: picture.bytes }), picture);
      } catch (error) {
        // A picture that breaks the recogniser costs its own text, not its document.
        if (error instanceof ProcessLostError) return undefined;
        throw error;
      }
    },
    close: () => processes.close(),
  };
}
