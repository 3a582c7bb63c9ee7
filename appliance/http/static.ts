/** The built web client, served from disk: small, immutable by name, under a policy that lets nothing foreign run. */
import { createReadStream, existsSync, statSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { extname, join, normalize, sep } from "node:path";

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".json": "application/json",
  ".webmanifest": "application/manifest+json",
  ".woff2": "font/woff2",
};

/** Shown when the client was not built: a checkout, not an installation. */
const unbuilt =
  "<!doctype html><meta charset=utf-8><title>Nika</title><p>The page is not built. Run <code>npm run build</code> and reload.";

/** Sends the file `path` names under `dir`; any path without an extension is the page itself. False when there is no such file. */
export function sendStatic(dir: string, path: string, response: ServerResponse, connectTo: string): boolean {
  const wanted = extname(path) === "" ? "index.html" : normalize(path).replace(/^[/\\]+/, "");
  const file = join(dir, wanted);
  if (!file.startsWith(dir + sep)) return false;
  response.setHeader(
    "Content-Security-Policy",
    `default-src 'self'; connect-src 'self' ${connectTo}; img-src 'self' data:; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'`,
  );
  if (!existsSync(file) || !statSync(file).isFile()) {
    if (wanted !== "index.html") return false;
    response.writeHead(200, { "Content-Type": types[".html"] }).end(unbuilt);
    return true;
  }
  // Vite puts a hash of the content into the names under assets/, so those never change.
  const isHashed = wanted.startsWith(`assets${sep}`);
  response.writeHead(200, {
    "Content-Type": types[extname(wanted)] ?? "application/octet-stream",
    "Content-Length": statSync(file).size,
    "Cache-Control": isHashed ? "public, max-age=31536000, immutable" : "no-cache",
  });
  createReadStream(file).pipe(response);
  return true;
}
