/** The process in which Tesseract's WebAssembly build runs: no environment, no writing, no network code; its files are packages. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { serve } from "../processes/serve.ts";

export type WasmRequest = { readonly languages: readonly string[]; readonly type: "page" | "figure" };

/** What is used of the library, which ships no types. */
type Core = {
  readonly FS: { writeFile(path: string, data: Uint8Array): void; unlink(path: string): void };
  readonly TessBaseAPI: new () => Api;
};
type Api = {
  Init(path: string | null, languages: string, engine: number): number;
  SetVariable(name: string, value: string): boolean;
  SetPageSegMode(mode: number): void;
  SetImageFile(angle: number, upscale: boolean): number;
  Recognize(monitor: null): number;
  GetTSVText(page: number): string;
  Clear?(): void;
  End(): void;
};

const require = createRequire(import.meta.url);
let core: Promise<Core> | undefined;
let opened: { readonly key: string; readonly api: Api } | undefined;

/** The LSTM engine alone; letters' shapes of the old engine are not shipped. */
const lstmOnly = 1;

async function openCore(): Promise<Core> {
  core ??= (async () => {
    const open = require("tesseract.js-core/tesseract-core-simd-lstm.js") as (options: object) => Promise<Core>;
    return await open({ print: () => {}, printErr: () => {} });
  })();
  return await core;
}

async function openApi(languages: readonly string[]): Promise<{ core: Core; api: Api }> {
  const core = await openCore();
  const key = languages.join("+");
  if (opened?.key !== key) {
    opened?.api.End();
    for (const language of languages) core.FS.writeFile(`${language}.traineddata`, trained(language));
    const api = new core.TessBaseAPI();
    if (api.Init(null, key, lstmOnly) !== 0) throw new Error(`Tesseract does not take the languages ${key}.`);
    opened = { key, api };
  }
  return { core, api: opened.api };
}

/** The smaller of the models that a language's package holds: nearly as good, and a third of the size. */
function trained(language: string): Uint8Array {
  const folder = dirname(require.resolve(`@tesseract.js-data/${language}/package.json`));
  return gunzipSync(readFileSync(join(folder, "4.0.0_best_int", `${language}.traineddata.gz`)));
}

serve(async ({ languages, type }: WasmRequest, bytes): Promise<string> => {
  const { core, api } = await openApi(languages);
  core.FS.writeFile("/input", bytes);
  try {
    api.SetPageSegMode(type === "page" ? 3 : 11);
    api.SetVariable("user_defined_dpi", "200");
    if (api.SetImageFile(0, false) !== 0) throw new Error("Tesseract cannot open the picture.");
    api.Recognize(null);
    return api.GetTSVText(0);
  } finally {
    core.FS.unlink("/input");
  }
});
