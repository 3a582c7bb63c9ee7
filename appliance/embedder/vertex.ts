/**
 * Google's multimodal embedding on Vertex AI, spoken as its REST API has it: a service account's signed assertion is exchanged for a
 * token (RFC 7523), and each picture or text is one prediction of `multimodalembedding@001`.
 */
import { readFileSync } from "node:fs";
import { importPKCS8, SignJWT } from "jose";
import { NikaError } from "../../convex/model/error.ts";
import { visualDimensions, type VisualPicture } from "../../functions/ports/visual.ts";
import { openLooker } from "./look.ts";
import type { OpenedVisual } from "./opened.ts";

export type VertexConfig = {
  /** The service account's key as Google hands it out, JSON. */
  readonly keyFile: string;
  /** The key's own project unless said. */
  readonly project: string | undefined;
  readonly location: string;
  /** Another origin than Google's, such as a proxy of the firm. */
  readonly url: string | undefined;
};

type Key = { readonly email: string; readonly privateKey: string; readonly project: string; readonly tokenUrl: string };

const service = "Vertex AI";
const model = "multimodalembedding@001";
const scope = "https://www.googleapis.com/auth/cloud-platform";
const googleTokenUrl = "https://oauth2.googleapis.com/token";
const tokenLifeSeconds = 3_600;
/** A token is replaced this long before it ends. */
const earlySeconds = 60;
const answerLimitMs = 30_000;
const answerBytesMax = 1024 * 1024;
/** The service scales to this itself; what is larger costs time on the line. */
const sideMax = 512;
/** It reads some 32 words; far more is not sent. */
const textCharsMax = 1_000;

/** Fails with `invalid` when the key's file cannot be used. Nothing of the key stands in any message. */
export function openVertex({ keyFile, project, location, url }: VertexConfig): OpenedVisual {
  const key = readKey(keyFile);
  const origin = url ?? `https://${location}-aiplatform.googleapis.com`;
  const path = `/v1/projects/${encodeURIComponent(project ?? key.project)}/locations/${encodeURIComponent(location)}/publishers/google/models/${model}:predict`;
  const looker = openLooker();
  let token: { readonly text: string; readonly endsAt: number } | undefined;

  async function tokenNow(signal: AbortSignal): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    if (token && token.endsAt - earlySeconds > now) return token.text;
    const assertion = await new SignJWT({ scope })
      .setProtectedHeader({ alg: "RS256", typ: "JWT" })
      .setIssuer(key.email)
      .setAudience(key.tokenUrl)
      .setIssuedAt(now)
      .setExpirationTime(now + tokenLifeSeconds)
      .sign(await privateKeyOf(key, keyFile));
    const answer = await send({
      url: key.tokenUrl,
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer", assertion }).toString(),
      signal,
    });
    if (answer.status !== 200) throw refused(answer.status, true);
    const { access_token: text, expires_in: seconds } = objectOf(answer.body);
    if (typeof text !== "string" || text === "") throw misunderstood();
    token = { text, endsAt: now + (typeof seconds === "number" ? seconds : tokenLifeSeconds) };
    return text;
  }

  /** Undefined when the service does not take this instance. */
  async function predict(instance: object, member: string, signal: AbortSignal): Promise<Float32Array | undefined> {
    const body = JSON.stringify({ instances: [instance], parameters: { dimension: visualDimensions } });
    const ask = async (): ReturnType<typeof send> =>
      send({
        url: `${origin}${path}`,
        headers: { "content-type": "application/json; charset=utf-8", authorization: `Bearer ${await tokenNow(signal)}` },
        body,
        signal,
      });
    let answer = await ask();
    if (answer.status === 401) {
      // A token may be called back before its time; one that was just made is the key's own trouble.
      token = undefined;
      answer = await ask();
    }
    if (answer.status === 400) return undefined;
    if (answer.status !== 200) throw refused(answer.status, false);
    const { predictions } = objectOf(answer.body);
    const found: unknown = Array.isArray(predictions) ? objectOf(predictions[0])[member] : undefined;
    if (!Array.isArray(found) || found.length !== visualDimensions || !found.every(Number.isFinite)) throw misunderstood();
    return unit(Float32Array.from(found as number[]));
  }

  async function look({ bytes }: VisualPicture, signal: AbortSignal): Promise<Float32Array | undefined> {
    const png = await looker.shrink(bytes, sideMax, signal);
    const image = png && { bytesBase64Encoded: Buffer.from(png).toString("base64"), mimeType: "image/png" };
    return image && (await predict({ image }, "imageEmbedding", signal));
  }

  return {
    id: `vertex-${model}`,
    label: `Vertex AI ${model}: matches what pictures show, best in English; pictures and questions are sent to Google`,
    dimensions: visualDimensions,
    seesMeaning: true,
    isRemote: true,
    images: async (pictures, signal) => {
      const vectors: (Float32Array | undefined)[] = [];
      for (const picture of pictures) vectors.push(await look(picture, signal));
      return vectors;
    },
    like: look,
    text: async (query, signal) => {
      const vector = await predict({ text: query.slice(0, textCharsMax) }, "textEmbedding", signal);
      if (!vector) throw new NikaError("invalid", `${service} did not take the question.`);
      return vector;
    },
    close: () => looker.close(),
  };
}

function readKey(keyFile: string): Key {
  const unusable = (why: string, cause?: unknown): NikaError =>
    new NikaError("invalid", `The key file for ${service} (NIKA_VERTEX_KEY_FILE) ${why}.`, { cause });
  let text: string;
  try {
    text = readFileSync(keyFile, "utf8");
  } catch (cause) {
    throw unusable("cannot be read", cause);
  }
  let key: Record<string, unknown>;
  try {
    key = objectOf(JSON.parse(text) as unknown);
  } catch {
    // The parser's own message quotes what it read.
    throw unusable("is not JSON");
  }
  const { client_email: email, private_key: privateKey, project_id: project, token_uri: tokenUrl } = key;
  if (typeof email !== "string" || typeof privateKey !== "string" || typeof project !== "string")
    throw unusable("is not that of a service account");
  return { email, privateKey, project, tokenUrl: typeof tokenUrl === "string" ? tokenUrl : googleTokenUrl };
}

async function privateKeyOf({ privateKey }: Key, keyFile: string): Promise<Awaited<ReturnType<typeof importPKCS8>>> {
  return await importPKCS8(privateKey, "RS256").catch(() => {
    throw new NikaError("invalid", `The key in ${keyFile} cannot be used to sign; ask for another one.`);
  });
}

type Sending = {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly signal: AbortSignal;
};

/** Not tried again here: jobs are. Fails with `cancelled` and `unavailable`. */
async function send({ url, headers, body, signal }: Sending): Promise<{ status: number; body: unknown }> {
  try {
    const limit = AbortSignal.timeout(answerLimitMs);
    const request = { method: "POST", headers, body, redirect: "error", signal: AbortSignal.any([signal, limit]) } as const;
    const response = await fetch(url, request);
    const parts: Uint8Array[] = [];
    let size = 0;
    for await (const part of response.body ?? []) {
      size += part.length;
      if (size > answerBytesMax) throw misunderstood();
      parts.push(part);
    }
    const text = Buffer.concat(parts).toString("utf8");
    return { status: response.status, body: response.ok ? parsed(text) : undefined };
  } catch (cause) {
    if (signal.aborted) throw new NikaError("cancelled", "The work was cancelled.");
    if (cause instanceof NikaError) throw cause;
    throw new NikaError("unavailable", `${service} does not answer.`, { cause });
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw misunderstood();
  }
}

function refused(status: number, isToken: boolean): NikaError {
  if (status === 401 || status === 403 || (isToken && status === 400))
    return new NikaError("denied", `${service} does not take the key; check NIKA_VERTEX_KEY_FILE and its rights.`);
  if (status === 429) return new NikaError("unavailable", `${service} asks to slow down.`);
  if (status === 408 || status >= 500)
    return new NikaError("unavailable", `${service} is not working at the moment (${status}).`);
  return new NikaError("invalid", `${service} did not take the request (${status}); check NIKA_VERTEX_PROJECT and its location.`);
}

const misunderstood = (): NikaError => new NikaError("unavailable", `${service} gave an answer that Nika does not understand.`);

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function unit(vector: Float32Array): Float32Array | undefined {
  const length = Math.hypot(...vector);
  return length > 1e-9 ? vector.map((value) => value / length) : undefined;
}
