/** A made server's mcp.toml as the declaration that Nika reads: DATA/mcp.d/NAME.json. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "smol-toml";
import { NikaError } from "../../../convex/model/error.ts";
import { parseServers } from "../../../convex/model/server.ts";
import { entriesOf, isObject, listOf, own } from "./json.ts";

export type Declared = { readonly name: string; readonly text: string };

/**
 * `dir` is where the server will stand. Under the sandbox its rights are those of the container; where the owner lets it run bare, Node's own
 * permissions keep it to reading and to the network. Fails with `invalid` and what is wrong with mcp.toml.
 */
export function toDeclaration(dir: string, manifest: string): Declared {
  let root: unknown;
  try {
    root = parse(manifest);
  } catch (cause) {
    throw new NikaError(
      "invalid",
      `mcp.toml cannot be read: ${cause instanceof Error ? (cause.message.split("\n")[0] ?? "") : ""}.`,
      { cause },
    );
  }
  const name = own(root, "name");
  const base = URL.parse(String(own(root, "base_url")));
  if (typeof name !== "string" || !base || !isObject(own(root, "tools")))
    throw new NikaError("invalid", "mcp.toml needs a name, a base_url and tools.");
  const env = Object.fromEntries(
    entriesOf(own(root, "auth")).map(([, way]) => [String(own(way, "variable")), `\${secret:${String(own(way, "secret"))}:-}`]),
  );
  const policy = Object.fromEntries(
    entriesOf(own(root, "tools")).map(([tool, said]) => [tool, { class: own(said, "class"), approval: own(said, "approval") }]),
  );
  const timeoutMs = own(own(root, "limits"), "timeout_ms");
  const server = {
    command: process.execPath,
    args: ["--permission", "--allow-fs-read=*", join(dir, "src/server.ts")],
    // Another build is another server, so that it is started anew.
    env: { ...env, BUILD: digestOf(dir) },
    // With half a processor, as others get, its first answer takes twice as long.
    sandbox: { egress: listOf(own(root, "egress")), cpus: 1 },
    policy,
    timeout: typeof timeoutMs === "number" ? timeoutMs + 10_000 : undefined,
  };
  const text = `${JSON.stringify({ mcpServers: { [name]: server } }, undefined, 2)}\n`;
  const [problem] = parseServers(text, "mcp.toml").problems;
  if (problem)
    throw new NikaError("invalid", `mcp.toml cannot be used: ${problem.key.split(".").slice(1).join(".")}: ${problem.message}`);
  return { name, text };
}

/** Of what it runs: its sources and its manifest. */
function digestOf(dir: string): string {
  const hash = createHash("sha256");
  const files = readdirSync(join(dir, "src"), { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map((one) => join(one.parentPath, one.name));
  for (const file of [...files.toSorted(), join(dir, "mcp.toml"), join(dir, "package.json")])
    hash.update(readFileSync(file)).update("\0");
  return hash.digest("hex").slice(0, 16);
}
