/** From a tool's arguments to a request. What is written into an address is encoded, and can never lead out of its place in the path. */
import { ToolError, type Arguments, type Body, type Parameter, type RequestShape } from "./tool.ts";

export type ServiceRequest = {
  readonly method: string;
  readonly url: URL;
  readonly headers: Headers;
  readonly body?: string | Uint8Array<ArrayBuffer> | FormData;
};

/** Fails with a ToolError on arguments that cannot be written. */
export function toRequest(shape: RequestShape, args: Arguments, baseUrl: string): ServiceRequest {
  const base = new URL(baseUrl);
  const headers = new Headers({ accept: "application/json, text/*;q=0.9, */*;q=0.5" });
  const query: string[] = [];
  const cookies: string[] = [];
  let { path } = shape;
  for (const parameter of shape.parameters) {
    const value = args[parameter.argument];
    if (value === undefined || value === null) continue;
    switch (parameter.in) {
      case "path":
        path = path.replaceAll(`{${parameter.name}}`, () => toSegment(parameter, value));
        break;
      case "query":
        query.push(...toPairs(parameter, value, encodeURIComponent));
        break;
      case "header":
        headers.set(parameter.name, toHeader(parameter, value));
        break;
      case "cookie":
        cookies.push(...toPairs(parameter, value, encodeURIComponent));
        break;
      default:
        parameter.in satisfies never;
    }
  }
  const missing = /\{([^{}]+)\}/.exec(path);
  if (missing) throw new ToolError(`"${missing[1]}" is needed, because it stands in the address.`);
  const url = new URL(base.origin + base.pathname.replace(/\/+$/, "") + path);
  if (query.length > 0) url.search = query.join("&");
  if (cookies.length > 0) headers.set("cookie", cookies.join("; "));
  const { method, body } = shape;
  const content = body && args[body.argument] !== undefined ? toContent(body, args[body.argument], headers) : undefined;
  return { method, url, headers, ...(content !== undefined && { body: content }) };
}

function toSegment(parameter: Parameter, value: unknown): string {
  const encode = (one: unknown): string => {
    const text = toText(one);
    // Either would be taken for a way up, or for nothing at all.
    if (text === "" || text === "." || text === "..") throw new ToolError(`"${parameter.argument}" cannot be "${text}".`);
    return encodeURIComponent(text);
  };
  if (parameter.json) return encode(JSON.stringify(value));
  return flat(value, parameter.explode).map(encode).join(",");
}

function toHeader(parameter: Parameter, value: unknown): string {
  const text = parameter.json ? JSON.stringify(value) : flat(value, parameter.explode).map(toText).join(",");
  if (/[^\t\x20-\x7e\x80-\xff]/.test(text)) throw new ToolError(`"${parameter.argument}" holds what a header cannot carry.`);
  return text;
}

/** A list as its members; an object as `key=value` when exploded, else as key and value in turn. */
function flat(value: unknown, explode: boolean): unknown[] {
  if (Array.isArray(value)) return value;
  if (typeof value !== "object" || value === null) return [value];
  return Object.entries(value).flatMap(([key, one]) => (explode ? [`${key}=${toText(one)}`] : [key, one]));
}

/** As `name=value`, as many as the style wants. */
function toPairs(parameter: Parameter, value: unknown, encode: (text: string) => string): string[] {
  const { name, style, explode } = parameter;
  const key = encode(name);
  if (parameter.json) return [`${key}=${encode(JSON.stringify(value))}`];
  if (style === "deepObject" && typeof value === "object" && value !== null)
    return Object.entries(value).flatMap(([inner, one]) =>
      (Array.isArray(one) ? one : [one]).map((each) => `${encode(`${name}[${inner}]`)}=${encode(toText(each))}`),
    );
  if (Array.isArray(value)) {
    if (explode) return value.map((one) => `${key}=${encode(toText(one))}`);
    const between = style === "spaceDelimited" ? "%20" : style === "pipeDelimited" ? "%7C" : ",";
    return [`${key}=${value.map((one) => encode(toText(one))).join(between)}`];
  }
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value);
    if (explode) return entries.map(([inner, one]) => `${encode(inner)}=${encode(toText(one))}`);
    return [`${key}=${entries.flatMap(([inner, one]) => [encode(inner), encode(toText(one))]).join(",")}`];
  }
  return [`${key}=${encode(toText(value))}`];
}

function toText(value: unknown): string {
  if (typeof value === "string") return value;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : JSON.stringify(value ?? "");
}

function toContent(body: Body, value: unknown, headers: Headers): ServiceRequest["body"] {
  if (body.kind !== "multipart") headers.set("content-type", body.mediaType);
  switch (body.kind) {
    case "json":
      return JSON.stringify(value);
    case "text":
      return toText(value);
    case "bytes":
      return toBytes(value, body.argument);
    case "form":
      return Object.entries(toObject(value, body))
        .flatMap(([name, one]) =>
          (Array.isArray(one) ? one : [one]).map((each) => `${encodeURIComponent(name)}=${encodeURIComponent(toText(each))}`),
        )
        .join("&");
    case "multipart":
      return toForm(toObject(value, body), body);
    default:
      return body.kind satisfies never;
  }
}

function toObject(value: unknown, { argument }: Body): Arguments {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new ToolError(`"${argument}" must be an object.`);
  return value as Arguments;
}

function toForm(value: Arguments, { files }: Body): FormData {
  const form = new FormData();
  for (const [name, one] of Object.entries(value))
    for (const each of Array.isArray(one) ? one : [one]) {
      if (!files.includes(name)) form.append(name, toText(each));
      else {
        const file = each as { readonly name?: unknown; readonly type?: unknown; readonly base64?: unknown };
        const type = typeof file.type === "string" ? file.type : "application/octet-stream";
        form.append(name, new Blob([toBytes(file.base64, name)], { type }), typeof file.name === "string" ? file.name : "file");
      }
    }
  return form;
}

function toBytes(value: unknown, argument: string): Uint8Array<ArrayBuffer> {
  if (typeof value !== "string" || !/^[A-Za-z0-9+/_-]*={0,2}$/.test(value)) throw new ToolError(`"${argument}" must be base64.`);
  return new Uint8Array(Buffer.from(value, "base64"));
}
