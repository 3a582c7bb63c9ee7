/** How a worker of another machine is let in: it shows its secret, and gets a token for the control plane that lasts an hour. */
import { createHash } from "node:crypto";
import { internal } from "../../convex/_generated/api.js";
import { NikaError } from "../../convex/model/error.ts";
import { workerSubject } from "../../convex/model/joined.ts";
import type { State } from "../../functions/ports/state.ts";
import { mintToken, type SigningKey } from "../secrets/token.ts";

/** What the appliance tells a worker that it knows. */
export type Ticket = {
  /** For the control plane; the worker comes back for another one before `expiresAt`. */
  readonly token: string;
  readonly expiresAt: number;
  /** The worker's name, which came with its secret. */
  readonly name: string;
  readonly version: string;
  /** Of the control plane; absent where it answers at the address that this was asked at. */
  readonly convexUrl?: string | undefined;
  /** What themes and captions are compared by here, whatever searches go by: the appliance's own embedder. */
  readonly embedderId: string;
};

export type Door = {
  /** Fails with `denied` when nobody has that secret. The control plane keeps only its hash. */
  enter(secret: string): Promise<Ticket>;
  /** Fails in the same way. */
  mustBeKnown(secret: string): Promise<void>;
};

export type DoorOptions = {
  readonly state: State;
  readonly signing: SigningKey;
  readonly version: string;
  /** Undefined where the control plane is in this process. */
  readonly convexUrl: string | undefined;
  readonly embedderId: () => Promise<string>;
  readonly now: () => number;
};

/** Secrets of workers begin so, and people see what they hold. */
export const secretPrefix = "nkw_";
export const hashOf = (secret: string): string => createHash("sha256").update(secret).digest("hex");

export function openDoor({ state, signing, now, embedderId, ...told }: DoorOptions): Door {
  const known = async (secret: string): Promise<{ readonly id: string; readonly name: string }> => {
    const token = secret.startsWith(secretPrefix)
      ? await state.query(internal.workers.findToken, { hash: hashOf(secret) })
      : null;
    if (!token) throw new NikaError("denied", "This token opens nothing; make one with `nika worker token` at the appliance.");
    return token;
  };
  return {
    async enter(secret) {
      const { id, name } = await known(secret);
      return { ...mintToken(signing, `${workerSubject}${id}`, now()), name, ...told, embedderId: await embedderId() };
    },
    async mustBeKnown(secret) {
      await known(secret);
    },
  };
}
