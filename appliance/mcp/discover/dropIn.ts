/** The file that declares an installed server, DATA/mcp.d/NAME.json: what its registry entry says, with the owner's values in its holes. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { NikaError } from "../../../convex/model/error.ts";
import { inputsOf, secretNameOf, type Argument, type Input, type Offer, type Template } from "../../../convex/model/entry.ts";
import { parseServers, type ServerConfig } from "../../../convex/model/server.ts";
import { recordOf } from "./json.ts";

export type DropInWish = {
  readonly alias: string;
  readonly offer: Offer;
  /** How its program is started; undefined for one that runs elsewhere. */
  readonly program: { readonly command: string; readonly file: string } | undefined;
  /** What the owner gave, by the names of inputs. */
  readonly values: Readonly<Record<string, string>>;
  /** What he gave beyond it: more arguments, variables, and variables that are secrets. */
  readonly more: {
    readonly args: readonly string[];
    readonly env: Readonly<Record<string, string>>;
    readonly secrets: readonly string[];
  };
  readonly egress: readonly string[];
  readonly mounts: readonly string[];
  readonly storage: string | undefined;
  /** It was turned off, and stays so. */
  readonly isOff: boolean;
  readonly file: string;
};
export type DropIn = {
  readonly text: string;
  readonly config: ServerConfig;
  /** Secrets it refers to, which the owner keeps with `nika secrets set`. */
  readonly secrets: readonly string[];
};

/** Fails with `invalid` and what is missing or wrong. */
export function toDropIn({ alias, offer, program, values, more, egress, mounts, storage, isOff, file }: DropInWish): DropIn {
  const inputs = inputsOf(offer);
  const secrets = new Set<string>();
  for (const name of Object.keys(values)) {
    const input = inputs.find((one) => one.name === name);
    if (!input)
      throw new NikaError(
        "invalid",
        `It takes no "${name}"${inputs.length === 0 ? "" : `; it takes ${inputs.map((one) => one.name).join(", ")}`}.`,
      );
    if (input.isSecret)
      throw new NikaError(
        "invalid",
        `"${name}" is a secret: keep it with \`nika secrets set ${secretNameOf(alias, name)}\` instead of writing it here.`,
      );
    if (input.choices && !input.choices.includes(values[name] ?? ""))
      throw new NikaError("invalid", `"${name}" must be one of ${input.choices.join(", ")}.`);
  }
  const missing = inputs.filter(
    (one) => one.isRequired && !one.isSecret && values[one.name] === undefined && one.fallback === undefined,
  );
  if (missing.length > 0)
    throw new NikaError(
      "invalid",
      `It needs ${missing.map(({ name }) => name).join(", ")}; give it as in --set ${missing[0]?.name}=VALUE.`,
    );
  const fill = (template: Template, maySecret: boolean): string | undefined => {
    let isComplete = true;
    const text = template.text.replace(/\{([\w.-]+)\}/g, (whole, name: string) => {
      const input = template.fills.find((one) => one.name === name);
      if (!input) return whole;
      const value = valueOf(input, { alias, values });
      if (value === undefined) isComplete = false;
      else if (input.isSecret) {
        if (!maySecret)
          throw new NikaError("invalid", `It wants the secret "${name}" where everybody could read it; it cannot be installed.`);
        secrets.add(secretNameOf(alias, name));
      } else if (/\$\{/.test(value)) throw new NikaError("invalid", `The value of "${name}" may not hold "\${".`);
      return value ?? "";
    });
    return isComplete ? text : undefined;
  };
  const fields = (of: readonly { readonly name: string; readonly value: Template }[]): Record<string, string> =>
    Object.fromEntries(
      of.flatMap(({ name, value }) => {
        const text = fill(value, true);
        return text === undefined ? [] : [[name, text]];
      }),
    );
  const given = ({ flag, value }: Argument): string[] => {
    const text = value && fill(value, false);
    return value && text === undefined ? [] : [...(flag === undefined ? [] : [flag]), ...(text === undefined ? [] : [text])];
  };
  const secretOf = (name: string): string => {
    secrets.add(secretNameOf(alias, name));
    return `\${secret:${secretNameOf(alias, name)}}`;
  };
  const sandbox = {
    ...(egress.length > 0 && { egress }),
    ...(mounts.length > 0 && { mounts }),
    ...(storage !== undefined && { storage }),
  };
  const server =
    offer.type === "remote"
      ? { ...(offer.of.type === "sse" && { type: "sse" }), url: fill(offer.of.url, false), headers: fields(offer.of.headers) }
      : {
          command: program?.command,
          args: [program?.file, ...offer.of.args.flatMap(given), ...more.args],
          env: {
            ...fields(offer.of.env),
            ...more.env,
            ...Object.fromEntries(more.secrets.map((name) => [name, secretOf(name)])),
          },
          ...(Object.keys(sandbox).length > 0 && { sandbox }),
        };
  const said = (entry: object): string => `${JSON.stringify({ mcpServers: { [alias]: entry } }, undefined, 2)}\n`;
  const text = said(isOff ? { ...server, disabled: true } : server);
  const { servers, problems } = parseServers(said(server), file);
  const [config] = servers;
  if (!config)
    throw new NikaError(
      "invalid",
      `It cannot be declared: ${problems.map(({ key, message }) => `${key}: ${message}`).join(" ")}`,
    );
  return { text, config, secrets: [...secrets] };
}

/** Absent for one that the owner may leave out. Optional secrets are left out until there is one of that name. */
function valueOf(input: Input, { alias, values }: Pick<DropInWish, "alias" | "values">): string | undefined {
  if (input.isSecret)
    return input.isRequired || values[input.name] !== undefined ? `\${secret:${secretNameOf(alias, input.name)}}` : undefined;
  return values[input.name] ?? input.fallback;
}

/** Whether the owner turned off what stands in that file. */
export function isTurnedOff(file: string, alias: string): boolean {
  try {
    const { mcpServers } = JSON.parse(readFileSync(file, "utf8")) as { mcpServers?: unknown };
    return recordOf(recordOf(mcpServers)[alias])["disabled"] === true;
  } catch {
    return false;
  }
}

export const dropInFile = (dataDir: string, alias: string): string => join(dataDir, "mcp.d", `${alias}.json`);

/** Whole or not at all; what it held before, to be put back. */
export function writeDropIn(file: string, text: string): string | undefined {
  mkdirSync(join(file, ".."), { recursive: true, mode: 0o700 });
  let before: string | undefined;
  try {
    before = readFileSync(file, "utf8");
  } catch {
    // The first of its name.
  }
  const fresh = `${file}.new`;
  writeFileSync(fresh, text, { mode: 0o600 });
  renameSync(fresh, file);
  return before;
}

export const removeDropIn = (file: string): void => rmSync(file, { force: true });

/**
 * Changes one server's entry in a file of Nika's own; the rest stays as it stands, but for its spacing. `change` returns what is to stand there,
 * or undefined to take it out. Fails with `missing` when it does not stand there.
 */
export function editEntry(
  file: string,
  isIt: (key: string) => boolean,
  change: (entry: Readonly<Record<string, unknown>>) => object | undefined,
): void {
  const absent = (cause?: unknown): NikaError =>
    new NikaError("missing", `It does not stand in ${file}; change the file that declares it.`, { cause });
  let root: Record<string, unknown>;
  try {
    root = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
  } catch (error) {
    throw absent(error);
  }
  const nested = root["mcpServers"];
  const holder = typeof nested === "object" && nested !== null ? (nested as Record<string, unknown>) : root;
  const key = Object.keys(holder).find(isIt);
  if (key === undefined) throw absent();
  const changed = change(recordOf(holder[key]));
  if (changed === undefined) delete holder[key];
  else holder[key] = changed;
  writeDropIn(file, `${JSON.stringify(root, undefined, 2)}\n`);
}
