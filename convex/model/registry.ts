/** Registries of MCP servers, as the owner set them. */
import { v, type Infer } from "convex/values";
import { NikaError } from "./error.ts";

export const vRegistryType = v.union(
  /** The v0.1 read API: the official one, private ones, other Nikas. Copied about once an hour. */
  v.literal("mcp"),
  v.literal("smithery"),
  v.literal("glama"),
);
export type RegistryType = Infer<typeof vRegistryType>;

export const vRegistrySetting = v.object({
  name: v.string(),
  type: vRegistryType,
  url: v.string(),
  isOn: v.boolean(),
  /** The name of the secret that is its key; its own name unless said. */
  secret: v.optional(v.string()),
});
export type RegistrySetting = Infer<typeof vRegistrySetting>;

export const vRegistryView = v.object({
  ...vRegistrySetting.fields,
  /** One that Nika knows of itself; it can be turned off and not removed. */
  isBuiltIn: v.boolean(),
  /** When it was last copied whole, and how many servers that gave. */
  copiedAt: v.optional(v.number()),
  servers: v.optional(v.number()),
  problem: v.optional(v.string()),
  isCopying: v.boolean(),
});
export type RegistryView = Infer<typeof vRegistryView>;

/** Nobody is asked anything before the owner turns one on, or searches for the first time, which turns on the official one. */
export const builtIn: readonly RegistrySetting[] = [
  { name: "official", type: "mcp", url: "https://registry.modelcontextprotocol.io", isOn: false },
  { name: "smithery", type: "smithery", url: "https://registry.smithery.ai", isOn: false },
  { name: "glama", type: "glama", url: "https://glama.ai/api/mcp/v1", isOn: false },
];
export const registriesMax = 20;
/** Registries ask to be copied about that often. */
export const copyEveryMs = 3_600_000;

/** Fails with `invalid` and what is wrong. */
export function checkRegistry({ name, url, secret }: Pick<RegistrySetting, "name" | "url" | "secret">): void {
  if (!/^[a-z0-9][a-z0-9-]{0,39}$/.test(name))
    throw new NikaError("invalid", "A registry's name has 1 to 40 small letters, digits and hyphens.");
  const parsed = URL.parse(url);
  if (!parsed || !/^https?:$/.test(parsed.protocol))
    throw new NikaError("invalid", `"${url.slice(0, 200)}" is no http or https address.`);
  if (parsed.username !== "" || parsed.password !== "" || parsed.search !== "")
    throw new NikaError(
      "invalid",
      "A registry's address holds no password and no parameters; keep its key with `nika secrets set NAME`.",
    );
  if (secret !== undefined && !/^[A-Za-z][A-Za-z0-9._-]{0,63}$/.test(secret))
    throw new NikaError("invalid", `"${secret.slice(0, 80)}" is no name of a secret.`);
}
