/** The words in which a call is answered: what it gave, why it was refused, and what became of an error. */
import { ProtocolError, type Result } from "@modelcontextprotocol/server";
import { SdkError, SdkErrorCode } from "@modelcontextprotocol/client";
import { isNikaError, toNikaError } from "../../convex/model/error.ts";

export const invalidParams = -32602;

/** For the model, which may try something else. */
export const refused = (text: string): Result => ({ content: [{ type: "text", text }], isError: true });
export const said = (value: object): Result => ({
  content: [{ type: "text", text: JSON.stringify(value) }],
  structuredContent: value,
});

/** Errors of the protocol are for the client; all else is for the model, which may try something else. */
export function toTold(error: unknown, server: string, tool: string): { readonly message: string; readonly isProtocol: boolean } {
  if (isNikaError(error)) return { message: `${error.code}: ${error.message}`, isProtocol: false };
  if (error instanceof SdkError && error.code === SdkErrorCode.RequestTimeout)
    return { message: `timeout: ${server} did not answer ${tool} in time.`, isProtocol: false };
  if (error instanceof ProtocolError || isProtocolLike(error)) return { message: error.message, isProtocol: true };
  if (error instanceof SdkError)
    return { message: `unavailable: ${server} cannot be reached now (${error.message}).`, isProtocol: false };
  const { code, message } = toNikaError(error);
  return { message: `${code}: ${message}`, isProtocol: false };
}

/** Client and server are two packages, each with a class of its own. */
const isProtocolLike = (error: unknown): error is Error & { code: number } =>
  error instanceof Error && error.name === "ProtocolError" && "code" in error && typeof error.code === "number";

/** For what is no tool: there whatever fails is told as an error of the protocol. */
export async function relayed(server: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ProtocolError || isProtocolLike(error)) throw error;
    throw new ProtocolError(-32603, toTold(error, server, "").message);
  }
}
