/**
 * What lets a machine in, and what it proves itself with afterwards. All of it follows from one key of the appliance's and the machine's name, so
 * nothing is stored and a restart changes nothing; that a token is used once is for the control plane to see to.
 */
import { createHmac, timingSafeEqual } from "node:crypto";

export type Pass = { readonly machineId: string; readonly epoch: number };

export type Passes = {
  /** Good for one enrolment. */
  token(pass: Pass): string;
  /** Shown with every call after that. */
  session(pass: Pass): string;
  /** Replies to it are signed with this; hex. */
  key(pass: Pass): string;
  /** Undefined for what nobody here made. */
  readToken(text: string): Pass | undefined;
  readSession(text: string): Pass | undefined;
  /** Over the reply's whole text; hex. */
  sign(pass: Pass, text: string): string;
};

const shape = /^nk([gm])_([a-zA-Z0-9]{1,64})_(\d{1,9})_([0-9a-f]{64})$/;

export function openPasses(secret: Buffer): Passes {
  const mac = (purpose: string, { machineId, epoch }: Pass): string =>
    createHmac("sha256", secret).update(`${purpose}\n${machineId}\n${epoch}`).digest("hex");
  const make = (mark: "g" | "m", pass: Pass): string => `nk${mark}_${pass.machineId}_${pass.epoch}_${mac(mark, pass)}`;
  const read = (mark: "g" | "m", text: string): Pass | undefined => {
    const [, seen, machineId, epoch, shown] = shape.exec(text) ?? [];
    if (seen !== mark || machineId === undefined || epoch === undefined || shown === undefined) return undefined;
    const pass = { machineId, epoch: Number(epoch) };
    return timingSafeEqual(Buffer.from(mac(mark, pass)), Buffer.from(shown)) ? pass : undefined;
  };
  const key = (pass: Pass): string => mac("key", pass);
  return {
    token: (pass) => make("g", pass),
    session: (pass) => make("m", pass),
    key,
    readToken: (text) => read("g", text),
    readSession: (text) => read("m", text),
    sign: (pass, text) =>
      createHmac("sha256", Buffer.from(key(pass), "hex"))
        .update(text)
        .digest("hex"),
  };
}
