/** An answer other than success, as it goes over the wire: a status and the text clients of Qdrant know. */
export class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The request reads well but does not fit the collection. */
export const wrongInput = (text: string): Refusal => new Refusal(400, `Wrong input: ${text}`);
/** The request contradicts itself. */
export const badRequest = (text: string): Refusal => new Refusal(400, `Bad request: ${text}`);
/** A part of the body has the wrong type. */
export const badFormat = (text: string): Refusal => new Refusal(400, `Format error in JSON body: ${text}`);
/** A part of the body has the right type and a value that is not allowed. */
export const invalid = (path: string, reason: string): Refusal =>
  new Refusal(422, `Validation error in JSON body: [${path}: ${reason}]`);
export const notFound = (text: string): Refusal => new Refusal(404, `Not found: ${text}`);
export const noCollection = (name: string): Refusal => notFound(`Collection \`${name}\` doesn't exist!`);
export const alreadyExists = (text: string): Refusal => new Refusal(409, `Wrong input: ${text}`);
/** Qdrant does it and this store does not: said by name, so that nobody mistakes silence for an answer. */
export const unsupported = (what: string): Refusal =>
  new Refusal(501, `Not supported: the embedded store has no ${what}; a Qdrant server does.`);
