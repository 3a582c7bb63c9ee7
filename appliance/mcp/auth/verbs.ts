/** What the owner does about sign-ins, by page or command line: Nika's own at servers elsewhere, and those of programs elsewhere at Nika. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { NikaError } from "../../../convex/model/error.ts";
import type { Accounts } from "./accounts.ts";
import type { AuthServer } from "./authServer.ts";
import { callbackPath } from "./callback.ts";

export type Verbs = {
  /** Undefined when the verb is none of these. */
  answer(
    verb: string,
    body: Readonly<Record<string, unknown>>,
    exchange: readonly [IncomingMessage, ServerResponse],
  ): Promise<object | undefined>;
};
export type VerbsOptions = {
  readonly accounts: Accounts;
  readonly authServer: AuthServer;
  /** Makes the server's account known before it is used. */
  readonly prepare: (server: string) => Promise<void>;
  /** Addresses a browser may be sent back to, the first unless said; without a slash at the end. */
  readonly origins: readonly string[];
  /** Writes the owner's decision into the log. */
  readonly decide: (type: string, name: string) => void;
  readonly dropped: (server: string) => Promise<void>;
};

export function openVerbs({ accounts, authServer, prepare, origins, decide, dropped }: VerbsOptions): Verbs {
  const textOf = (value: unknown, what: string, charsMax = 300): string => {
    if (typeof value === "string" && value !== "" && value.length <= charsMax) return value;
    throw new NikaError("invalid", what);
  };
  return {
    async answer(verb, body, exchange) {
      switch (verb) {
        case "login": {
          const name = textOf(body["name"], "Say which, by its name.");
          const origin = origins.find((one) => body["origin"] === undefined || one === body["origin"]);
          if (origin === undefined)
            throw new NikaError("denied", "A browser can be sent back only to an address of Nika's own; see NIKA_PUBLIC_URL.");
          await prepare(name);
          return accounts.begin(name, `${origin}${callbackPath}`);
        }
        case "finish": {
          const pasted = URL.parse(textOf(body["url"], "Paste the address that the browser ended at.", 8_000));
          if (!pasted)
            throw new NikaError("invalid", "That is no address; paste all of what stands in the browser's address bar.");
          return { name: await accounts.finish(pasted.searchParams) };
        }
        case "awaited": {
          const name = textOf(body["name"], "Say which, by its name.");
          const done = Promise.withResolvers<object>();
          const unlisten = accounts.onSignIn((server) => {
            if (server === name) done.resolve({ name });
          });
          // Whoever hung up waits no longer.
          exchange[1].once("close", () => done.resolve({}));
          return done.promise.finally(unlisten);
        }
        case "logout": {
          const name = textOf(body["name"], "Say which, by its name.");
          await prepare(name);
          await accounts.logout(name);
          await dropped(name);
          decide("signedOut", name);
          return { name };
        }
        case "clients":
          return { clients: authServer.list() };
        case "revoke": {
          const id = textOf(body["id"], "Say which program, by its id.");
          authServer.revoke(id);
          decide("clientRevoked", id);
          return { id };
        }
        case "asked":
          return authServer.asked(exchange, textOf(body["uid"], "Say which question."));
        case "consent": {
          const uid = textOf(body["uid"], "Say which question.");
          const { name } = await authServer.asked(exchange, uid);
          const isAllowed = body["isAllowed"] === true;
          const url = await authServer.decide(exchange, uid, isAllowed);
          decide(isAllowed ? "clientAllowed" : "clientRefused", name);
          return { url };
        }
        default:
          return undefined;
      }
    },
  };
}
