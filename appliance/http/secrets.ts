/** Secrets over HTTP, from the page and the command line: values come in and never go out. */
import { NikaError } from "../../convex/model/error.ts";
import type { SecretStore } from "../secrets/store.ts";

type SecretRequest = {
  readonly method: string;
  readonly path: string;
  /** Who holds the machine's own key, and not just a session in a browser. */
  readonly isAdmin: boolean;
  readonly body: () => Promise<Record<string, unknown>>;
};

/** The body of the answer; undefined when there is no such route. */
export async function answerSecrets(
  secrets: SecretStore,
  { method, path, isAdmin, body }: SecretRequest,
): Promise<object | undefined> {
  const by = isAdmin ? "command line" : "page";
  const mustBeAdmin = (): void => {
    if (!isAdmin) throw new NikaError("denied", "Only the command line on the machine itself may do this.");
  };
  switch (`${method} ${path}`) {
    case "GET /nika/secrets":
      return { secrets: await secrets.list() };
    case "POST /nika/secrets": {
      const { name, value } = await body();
      if (typeof name !== "string" || typeof value !== "string")
        throw new NikaError("invalid", "Give the secret's name and value.");
      await secrets.set(name, value, by);
      return { name };
    }
    case "DELETE /nika/secrets": {
      const { name } = await body();
      if (typeof name !== "string") throw new NikaError("invalid", "Give the secret's name.");
      if (!(await secrets.list()).some((secret) => secret.name === name))
        throw new NikaError("missing", `There is no secret ${name.slice(0, 64)}.`);
      await secrets.remove(name, by);
      return { name };
    }
    case "GET /nika/secrets/recovery":
      mustBeAdmin();
      return secrets.recovery();
    case "POST /nika/secrets/recovery": {
      mustBeAdmin();
      const { action } = await body();
      if (action === "kept") secrets.keepRecovery(by);
      else if (action === "renew") await secrets.renewRecovery(by);
      else throw new NikaError("invalid", 'The action is "kept" or "renew".');
      return secrets.recovery();
    }
    case "POST /nika/secrets/rekey":
      mustBeAdmin();
      return { count: await secrets.rekey(by) };
    case "POST /nika/secrets/recover": {
      mustBeAdmin();
      const { identity } = await body();
      if (typeof identity !== "string") throw new NikaError("invalid", "Give the recovery key.");
      return { count: await secrets.recover(identity.trim(), by) };
    }
    default:
      return undefined;
  }
}
