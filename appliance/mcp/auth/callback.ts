/** Where a browser comes back to from a sign-in elsewhere: no session is asked for, because a browser sends none along on such a way; the state is the proof. */
import type { ServerResponse } from "node:http";
import { isNikaError } from "../../../convex/model/error.ts";
import { clientMetadata, type Accounts } from "./accounts.ts";

export const callbackPath = "/nika/mcp/callback";
export const clientPath = "/nika/mcp/client.json";

const words = {
  en: {
    done: (name: string) => `You are signed in to ${name}.`,
    next: "You can close this page.",
    failed: "The sign-in did not work.",
  },
  fr: {
    done: (name: string) => `Vous êtes connecté à ${name}.`,
    next: "Vous pouvez fermer cette page.",
    failed: "La connexion n'a pas abouti.",
  },
} as const;

export type Returned = { readonly url: string; readonly language: string | undefined; readonly accounts: Accounts };

/** Ends the sign-in, and tells whoever looks. */
export async function answerCallback(response: ServerResponse, { url, language, accounts }: Returned): Promise<void> {
  const tongue = /^\s*fr\b/i.test(language ?? "") ? "fr" : "en";
  const { done, next, failed } = words[tongue];
  try {
    const name = await accounts.finish(new URL(url, "http://nika").searchParams);
    page(response, 200, { tongue, title: done(name), text: next });
  } catch (error) {
    page(response, 400, { tongue, title: failed, text: isNikaError(error) ? error.message : "" });
    if (!isNikaError(error)) throw error;
  }
}

/** What Nika says of itself to sign-in servers that look (client ID metadata document). */
export function answerClient(
  response: ServerResponse,
  at: { readonly publicUrl: string; readonly redirectUrls: readonly string[] },
): void {
  const body = { client_id: at.publicUrl + clientPath, token_endpoint_auth_method: "none", ...clientMetadata(at.redirectUrls) };
  response
    .writeHead(200, { "Content-Type": "application/json", "Cache-Control": "public, max-age=3600" })
    .end(JSON.stringify(body));
}

type Page = { readonly tongue: "en" | "fr"; readonly title: string; readonly text: string };

function page(response: ServerResponse, status: number, { tongue, title, text }: Page): void {
  const safe = (words: string): string => words.replace(/[&<>"']/g, (one) => `&#${one.charCodeAt(0)};`);
  response
    .writeHead(status, {
      "Content-Type": "text/html; charset=utf-8",
      "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
      "Cache-Control": "no-store",
    })
    .end(
      `<!doctype html><html lang="${tongue}"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Nika</title><h1>${safe(title)}</h1><p>${safe(text)}</p>`,
    );
}
