/**
 * AWS's services of JSON (SageMaker, quotas, prices, logs), signed by the signer that EC2's client brings along. Their own clients would
 * add 14 MB for SageMaker alone, to send eight kinds of body.
 */
import { createHash, createHmac } from "node:crypto";
import type { Failure } from "../../../convex/model/gpu.ts";
import type { Answer, Http, Sent } from "../http.ts";
import { ProviderError } from "../../../functions/ports/gpu.ts";
import { awsFailure } from "./failures.ts";

export type AwsKey = { readonly accessKeyId: string; readonly secretAccessKey: string; readonly sessionToken?: string };

export type AwsService = {
  /** As it is signed for: "sagemaker". */
  readonly name: string;
  /** What stands before the operation in `X-Amz-Target`. */
  readonly target: string;
  /** Where it differs from `NAME.REGION.amazonaws.com`. */
  readonly host?: string;
};

export const sageMaker: AwsService = { name: "sagemaker", target: "SageMaker", host: "api.sagemaker" };
export const quotas: AwsService = { name: "servicequotas", target: "ServiceQuotasV20190624" };
/** Of the whole world, asked in Virginia. */
export const priceList: AwsService = { name: "pricing", target: "AWSPriceListService", host: "api.pricing" };
/** Of the whole account, asked in Virginia. */
export const costExplorer: AwsService = { name: "ce", target: "AWSInsightsIndexService" };
export const logs: AwsService = { name: "logs", target: "Logs_20140328" };

/** Which service, where, and what it is to do. */
export type AwsOperation = readonly [service: AwsService, region: string, name: string];

export type AwsJson = {
  /** Asks once; a refusal is an answer. */
  send(operation: AwsOperation, body: object, signal: AbortSignal): Promise<Sent>;
  /** Fails with `ProviderError`. */
  ask(operation: AwsOperation, body: object, signal: AbortSignal): Promise<unknown>;
};

export function openAwsJson({ http, key, url }: { readonly http: Http; readonly key: AwsKey; readonly url?: string }): AwsJson {
  const send: AwsJson["send"] = async ([service, region, operation], body, signal) => {
    const { SignatureV4 } = await import("@smithy/signature-v4");
    const origin = new URL(url ?? `https://${service.host ?? service.name}.${region}.amazonaws.com`);
    const text = JSON.stringify(body);
    const type = "application/x-amz-json-1.1";
    const signer = new SignatureV4({ service: service.name, region, credentials: key, sha256: Sha256 });
    const signed = await signer.sign({
      method: "POST",
      protocol: origin.protocol,
      hostname: origin.hostname,
      path: "/",
      headers: { host: origin.host, "content-type": type, "x-amz-target": `${service.target}.${operation}` },
      body: text,
    });
    const { host: _host, "content-type": _type, ...headers } = signed.headers;
    return await http.send({ method: "POST", path: `${origin.origin}/`, headers, text: { type, body: text } }, signal);
  };
  return {
    send,
    async ask(operation, body, signal) {
      const sent = await send(operation, body, signal);
      if (sent.type === "none") throw new ProviderError(sent.failure);
      if (sent.answer.status >= 300) throw new ProviderError(jsonFailure(sent.answer, [key.secretAccessKey]));
      return sent.answer.body;
    },
  };
}

/** The code stands in `__type`, sometimes behind a name space, or in a header. */
export function jsonFailure(answer: Answer, hide: readonly string[] = []): Failure {
  const { __type: type, message, Message } = (answer.body ?? {}) as Record<string, unknown>;
  const raw = typeof type === "string" ? type : (answer.headers.get("x-amzn-errortype") ?? "Unknown");
  const code = raw.replace(/^.*#/, "").replace(/:.*$/, "");
  return awsFailure({ code, status: answer.status, words: message ?? Message, hide });
}

/** The signer takes its hash as a class. */
class Sha256 {
  readonly #hash;
  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash("sha256") : createHmac("sha256", bytesOf(secret));
  }
  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(bytesOf(data));
  }
  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest());
  }
  reset(): void {
    throw new Error("one hash, one use");
  }
}

const bytesOf = (data: string | ArrayBuffer | ArrayBufferView): Uint8Array =>
  typeof data === "string"
    ? Buffer.from(data, "utf8")
    : ArrayBuffer.isView(data)
      ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
      : new Uint8Array(data);
