/**
 * The one reader of the environment. Everything else is handed the few fields it needs. What an owner may change at run time is not
 * here: that is state and lives in convex/settings.ts.
 */
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { NikaError } from "../convex/model/error.ts";
import type { VisualConfig } from "./embedder/visual.ts";
import type { EyesConfig } from "./eyes.ts";
import type { LanguageModelConfig } from "./languageModel/languageModel.ts";

/** N-I-K-A on a phone's keys. */
export const portDefault = 6452;

export type Config = {
  readonly version: string;
  /** Where everything the owner has is kept. */
  readonly dataDir: string;
  readonly host: string;
  readonly port: number;
  /** Further origins the page may be reached under, such as a tunnel's; the loopback ones are always allowed. */
  readonly publicUrl: string | undefined;
  readonly state:
    | { readonly type: "embedded" }
    | {
        readonly type: "convex";
        readonly url: string;
        readonly publicUrl: string;
        readonly adminKey: string;
        readonly deploys: boolean;
      };
  readonly vectors:
    | { readonly type: "embedded" }
    | { readonly type: "qdrant"; readonly url: string; readonly apiKey: string | undefined }
    /** A Qdrant that Nika brings up in a container of its own, on this port of 127.0.0.1. */
    | { readonly type: "qdrant"; readonly container: { readonly port: number; readonly image: string | undefined } };
  readonly models: { readonly dir: string; readonly allowDownload: boolean };
  /** Where the Bot API of Telegram is: its own, or a server of yours that speaks it. */
  readonly telegramUrl: string;
  /** What pictures are embedded with. */
  readonly visual: VisualConfig;
  /** What reads pictures of text. */
  readonly eyes: EyesConfig;
  /** What writes questions to learn from, where the owner asks for it. */
  readonly languageModel: LanguageModelConfig | undefined;
  /** Where the key of secrets is instead of under DATA/keys: a file, or a credential that systemd holds. */
  readonly tenantKeyFile: string | undefined;
  /** What this machine joins an appliance with as a worker, where no file or prompt gives it. */
  readonly workerSecret: string | undefined;
  /** Jobs run side by side. */
  readonly slots: number;
  /** Fewer files are read at a time while the machine is busy with other things. */
  readonly isPolite: boolean;
  /** Whose crontab the machine's upkeep goes to; that of whoever runs Nika when undefined. Another's needs root. */
  readonly cronUser: string | undefined;
  /** MCP servers: the file that other programs declare theirs in, and what `${VAR}` in such files stands for. */
  readonly mcp: { readonly sharedFile: string; readonly variables: Environment };
  /** Show causes and stacks of errors. For those who build Nika. */
  readonly isDebug: boolean;
};

export type Flags = { readonly dataDir?: string | undefined; readonly port?: number | undefined };
type Environment = Readonly<Record<string, string | undefined>>;

/** For a process that is to see what this one sees, and `more`. */
export function environmentWith(more: Environment): Environment {
  return { ...process.env, ...more };
}

/** Flags win over the environment, the environment over defaults. Fails with `invalid` and the name of what is wrong. */
export function loadConfig(flags: Flags = {}, environment: Environment = process.env): Config {
  const dataDir = resolve(flags.dataDir ?? environment["NIKA_DATA"] ?? join(homedir(), ".nika", "data"));
  return {
    version: packageVersion(),
    dataDir,
    host: environment["NIKA_HOST"] ?? "127.0.0.1",
    port: flags.port ?? toPort(environment["NIKA_PORT"], "NIKA_PORT") ?? portDefault,
    publicUrl: toUrl(environment, "NIKA_PUBLIC_URL"),
    state: toState(environment),
    vectors: toVectors(environment),
    models: {
      dir: resolve(environment["NIKA_MODELS"] ?? join(dataDir, "models")),
      allowDownload: isOn(environment["NIKA_MODEL_DOWNLOAD"]),
    },
    telegramUrl: toUrl(environment, "NIKA_TELEGRAM_URL") ?? "https://api.telegram.org",
    visual: toVisual(environment),
    eyes: toEyes(environment),
    languageModel: toLanguageModel(environment),
    tenantKeyFile: toTenantKeyFile(environment),
    workerSecret: environment["NIKA_WORKER_TOKEN"] || undefined,
    slots: toSlots(environment["NIKA_SLOTS"]),
    isPolite: environment["NIKA_POLITE"] === undefined || isOn(environment["NIKA_POLITE"]),
    cronUser: environment["NIKA_CRON_USER"] === "" ? undefined : environment["NIKA_CRON_USER"],
    mcp: { sharedFile: resolve(environment["NIKA_MCP_FILE"] ?? join(homedir(), ".mcp.json")), variables: environment },
    isDebug: isOn(environment["NIKA_DEBUG"]),
  };
}

/** The one that is named, or the credential `nika-tenant-key` of the unit that runs us (systemd.exec(5), LoadCredentialEncrypted=). */
function toTenantKeyFile(environment: Environment): string | undefined {
  const named = environment["NIKA_TENANT_KEY_FILE"];
  if (named) {
    if (!existsSync(named)) throw new NikaError("invalid", `NIKA_TENANT_KEY_FILE names ${named}, which is not there.`);
    return resolve(named);
  }
  const credentials = environment["CREDENTIALS_DIRECTORY"];
  const credential = credentials ? join(credentials, "nika-tenant-key") : undefined;
  return credential !== undefined && existsSync(credential) ? credential : undefined;
}

/** A TCP port from text; 0 asks the system for a free one. */
export function toPort(text: string | undefined, name: string): number | undefined {
  if (text === undefined || text === "") return undefined;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new NikaError("invalid", `${name} must be a port number from 0 to 65535, not "${text}".`);
  return port;
}

function toState(environment: Environment): Config["state"] {
  const url = toUrl(environment, "NIKA_CONVEX_URL");
  if (url === undefined) return { type: "embedded" };
  const adminKey = environment["NIKA_CONVEX_ADMIN_KEY"];
  if (!adminKey) throw new NikaError("invalid", "NIKA_CONVEX_URL is set, so NIKA_CONVEX_ADMIN_KEY must be set too.");
  const deploys = environment["NIKA_CONVEX_DEPLOY"] === undefined || isOn(environment["NIKA_CONVEX_DEPLOY"]);
  return { type: "convex", url, publicUrl: toUrl(environment, "NIKA_CONVEX_PUBLIC_URL") ?? url, adminKey, deploys };
}

/** Qdrant's own. */
const qdrantPort = 6333;

function toVectors(environment: Environment): Config["vectors"] {
  const url = toUrl(environment, "NIKA_QDRANT_URL");
  if (url !== undefined) return { type: "qdrant", url, apiKey: environment["NIKA_QDRANT_API_KEY"] };
  const kind = environment["NIKA_QDRANT"] ?? "embedded";
  if (kind === "embedded") return { type: "embedded" };
  if (kind !== "docker") throw new NikaError("invalid", `NIKA_QDRANT must be "embedded" or "docker", not "${kind}".`);
  const port = toPort(environment["NIKA_QDRANT_PORT"], "NIKA_QDRANT_PORT") ?? qdrantPort;
  return { type: "qdrant", container: { port, image: environment["NIKA_QDRANT_IMAGE"] } };
}

function toVisual(environment: Environment): VisualConfig {
  const type = environment["NIKA_VISUAL"] || "local";
  if (type === "local" || type === "descriptor") return { type };
  if (type !== "vertex") throw new NikaError("invalid", `NIKA_VISUAL must be local, descriptor or vertex, not "${type}".`);
  const keyFile = environment["NIKA_VERTEX_KEY_FILE"];
  if (!keyFile) throw new NikaError("invalid", "NIKA_VISUAL is vertex, so NIKA_VERTEX_KEY_FILE must be set too.");
  const location = environment["NIKA_VERTEX_LOCATION"] || "us-central1";
  if (!/^[a-z]+(?:-[a-z]+\d+)?$/.test(location))
    throw new NikaError("invalid", `NIKA_VERTEX_LOCATION must be a name such as europe-west1, not "${location}".`);
  return {
    type,
    keyFile: resolve(keyFile),
    project: environment["NIKA_VERTEX_PROJECT"] || undefined,
    location,
    url: toUrl(environment, "NIKA_VERTEX_URL"),
  };
}

const visionModels = { openai: "deepseek-ai/DeepSeek-OCR", gemini: "gemini-2.5-flash", claude: "claude-sonnet-4-5" } as const;

function toEyes(environment: Environment): EyesConfig {
  const languages = (environment["NIKA_OCR_LANGUAGES"] ?? "fra+eng").split(/[+,\s]+/).filter(Boolean);
  if (languages.length === 0 || languages.some((language) => !/^[a-z]{3}(?:_[a-z]+)?$/i.test(language)))
    throw new NikaError(
      "invalid",
      `NIKA_OCR_LANGUAGES must be names such as "fra+eng", not "${environment["NIKA_OCR_LANGUAGES"]}".`,
    );
  const docling = toUrl(environment, "NIKA_DOCLING_URL");
  return {
    languages,
    vision: toVision(environment),
    docling: docling === undefined ? undefined : { url: docling, apiKey: environment["NIKA_DOCLING_KEY"] },
  };
}

function toVision(environment: Environment): EyesConfig["vision"] {
  const type = environment["NIKA_VISION"];
  if (type === undefined || type === "") return undefined;
  if (type !== "openai" && type !== "gemini" && type !== "claude")
    throw new NikaError("invalid", `NIKA_VISION must be openai, gemini or claude, not "${type}".`);
  const url = toUrl(environment, "NIKA_VISION_URL");
  if (type === "openai" && url === undefined)
    throw new NikaError("invalid", "NIKA_VISION is openai, so NIKA_VISION_URL must be set too.");
  return { type, url, model: environment["NIKA_VISION_MODEL"] ?? visionModels[type], apiKey: environment["NIKA_VISION_KEY"] };
}

function toLanguageModel(environment: Environment): LanguageModelConfig | undefined {
  const url = toUrl(environment, "NIKA_LLM_URL");
  if (url === undefined) return undefined;
  const model = environment["NIKA_LLM_MODEL"];
  if (!model) throw new NikaError("invalid", "NIKA_LLM_URL is set, so NIKA_LLM_MODEL must be set too.");
  return { url, model, apiKey: environment["NIKA_LLM_KEY"] || undefined };
}

function toUrl(environment: Environment, name: string): string | undefined {
  const text = environment[name];
  if (text === undefined || text === "") return undefined;
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new NikaError("invalid", `${name} must be an http or https address, not "${text}".`);
  return url.href.replace(/\/$/, "");
}

function toSlots(text: string | undefined): number {
  if (text === undefined || text === "") return 4;
  const slots = Number(text);
  if (!Number.isInteger(slots) || slots < 1 || slots > 64)
    throw new NikaError("invalid", `NIKA_SLOTS must be a number from 1 to 64, not "${text}".`);
  return slots;
}

function isOn(text: string | undefined): boolean {
  return text === "1" || text === "true" || text === "yes" || text === "on";
}

function packageVersion(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
