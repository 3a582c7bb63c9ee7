import type { Ocr, OcrText } from "../../functions/ports/ocr.ts";
import { openProcesses, ProcessLostError } from "../processes/processes.ts";
import { findTesseract, readNative, type NativeTesseract } from "./native.ts";
import { readTsv } from "./tsv.ts";
import type { WasmRequest } from "./wasmProcess.ts";

export type OcrOptions = {
  /** Three-letter names as Tesseract has them. Those that are not installed are left out. */
  readonly languages?: readonly string[];
  /** Which build to use; the installed one is faster. */
  readonly build?: "best" | "native" | "wasm";
  readonly log?: (line: string) => void;
};

const languagesDefault = ["fra", "eng"];
/** The languages whose models come with Nika. */
const shipped = new Set(["fra", "eng"]);
const timeLimitMs = 60_000;
/** The engine with two languages takes 190, a large page 120 more. */
const memoryMiBMax = 420;
const idleMs = 20_000;

/** Tesseract: the installed program when there is one with the languages, its WebAssembly build otherwise. Said in the log. */
export function openOcr({ languages = languagesDefault, build = "best", log = () => {} }: OcrOptions = {}): Ocr {
  const native = build === "wasm" ? undefined : findTesseract();
  const known = native ? languages.filter((language) => native.languages.has(language)) : [];
  if (native && (known.length > 0 || build === "native")) {
    if (known.length < languages.length) log(`text recognition: no model of tesseract for ${missing(languages, known)}`);
    return announced(nativeOcr(native, known.length > 0 ? known : ["eng"]), log);
  }
  const own = languages.filter((language) => shipped.has(language));
  if (own.length < languages.length)
    log(`text recognition: no model with Nika for ${missing(languages, own)}; install tesseract-ocr for it`);
  return announced(wasmOcr(own.length > 0 ? own : languagesDefault), log);
}

function missing(languages: readonly string[], known: readonly string[]): string {
  return languages.filter((language) => !known.includes(language)).join(", ");
}

function announced(ocr: Ocr, log: (line: string) => void): Ocr {
  log(`text recognition: ${ocr.label}`);
  return ocr;
}

function nativeOcr(native: NativeTesseract, languages: readonly string[]): Ocr {
  return {
    label: `tesseract ${native.version}, installed (${languages.join("+")})`,
    read: async (picture, signal) => await readNative(native, picture, { languages, signal }),
    close: async () => {},
  };
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
