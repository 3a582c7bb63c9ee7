/** From a plan to a server: every file of it, by its path. What does not depend on the plan is copied from template/ as it is. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "smol-toml";
import type { Plan, PlannedTool } from "./plan.ts";
import { printValue } from "./print.ts";
import { toSkill } from "./skill.ts";
import { toCamel } from "./words.ts";
import { toWire } from "./wire.ts";

const template = join(import.meta.dirname, "template");
const copied = [
  "src/server.ts",
  "src/mcp.ts",
  "src/call.ts",
  "src/request.ts",
  "src/limits.ts",
  "src/manifest.ts",
  "src/tool.ts",
  "tests/contract.ts",
  "tests/mock.ts",
];
/** What a made server runs on; each is copied beside it from what Nika itself runs on. */
export const runtimePackages = ["@modelcontextprotocol/server", "@modelcontextprotocol/core", "zod", "smol-toml"] as const;

export type Made = ReadonlyMap<string, string>;

/** `versions` are those of the packages it is to run on. */
export function generate(
  plan: Plan,
  { versions, withSkill }: { readonly versions: Readonly<Record<string, string>>; readonly withSkill: boolean },
): Made {
  const files = new Map<string, string>();
  for (const path of copied) files.set(path, readFileSync(join(template, path), "utf8"));
  const groups = Map.groupBy(plan.tools, ({ group }) => group);
  const modules = new Map<string, { readonly file: string; readonly tools: readonly PlannedTool[] }>();
  for (const [group, tools] of groups) {
    const stem = toCamel(group, "group");
    let file = stem;
    for (let number = 2; modules.has(file); number++) file = `${stem}${number}`;
    modules.set(file, { file, tools });
  }
  for (const { file, tools } of modules.values()) files.set(`src/tools/${file}.ts`, toModule(tools));
  files.set("src/tools.ts", toIndex([...modules.keys()]));
  files.set("tests/cases.ts", toCases(plan));
  files.set("mcp.toml", toManifest(plan));
  files.set("plan.json", `${JSON.stringify(plan, undefined, 2)}\n`);
  files.set("package.json", toPackage(plan, versions));
  files.set("tsconfig.json", tsconfig);
  files.set("README.md", toReadme(plan));
  if (withSkill) files.set("SKILL.md", toSkill(plan));
  return files;
}

function toModule(tools: readonly PlannedTool[]): string {
  const printed = tools.map((tool) => {
    const { name, title, description, input, method, path, parameters, body, auth } = tool;
    const request = { method, path, parameters: parameters.map(inOrder), body, auth };
    return `  ${printValue({ name, title, description, class: tool.class, input, request }, 2)},\n`;
  });
  return `import type { Tool } from "../tool.ts";\n\nexport const tools: readonly Tool[] = [\n${printed.join("")}];\n`;
}

const inOrder = ({ name, in: place, argument, style, explode, json }: PlannedTool["parameters"][number]): object => ({
  name,
  in: place,
  argument,
  style,
  explode,
  json,
});

function toIndex(files: readonly string[]): string {
  const imports = files.map((file) => `import { tools as ${file}Tools } from "./tools/${file}.ts";\n`);
  const spread = files.map((file) => `...${file}Tools`);
  const line = `export const tools: readonly Tool[] = [${spread.join(", ")}];`;
  const list =
    line.length <= 130
      ? `${line}\n`
      : `export const tools: readonly Tool[] = [\n${spread.map((one) => `  ${one},\n`).join("")}];\n`;
  return `/** All tools, a file for each group of the service. */\nimport type { Tool } from "./tool.ts";\n${imports.join("")}\n${list}`;
}

function toCases(plan: Plan): string {
  const template = readFileSync(join(import.meta.dirname, "template/tests/cases.ts"), "utf8");
  const [head = ""] = template.split("export const cases");
  const cases = plan.tools.flatMap((tool) => {
    if (!tool.example) return [];
    const ways = plan.auth.filter(({ id }) => tool.auth.includes(id));
    const made = {
      tool: tool.name,
      arguments: tool.example.arguments,
      expected: toWire(tool, ways),
      answer: tool.example.answer,
    };
    return [`  ${printValue(made, 2)},\n`];
  });
  return `${head}export const cases: readonly Case[] = ${cases.length === 0 ? "[]" : `[\n${cases.join("")}]`};\n`;
}

/** The one file an owner edits: limits and rights. The server reads its limits in it, Nika what it may reach and do. */
function toManifest(plan: Plan): string {
  const { name, title, about, baseUrl, limits, egress } = plan;
  const auth = Object.fromEntries(
    plan.auth.map((way) => [
      way.id,
      {
        kind: way.kind,
        ...(way.kind === "apiKey" && { in: way.in, parameter: way.parameter }),
        variable: way.variable,
        secret: way.secret,
        ...(way.kind === "oauth2" && { authorization_url: way.authorizationUrl, token_url: way.tokenUrl, scopes: way.scopes }),
      },
    ]),
  );
  const tools = Object.fromEntries(
    plan.tools.map((tool) => [
      tool.name,
      {
        class: tool.class,
        approval: tool.approval,
        ...(tool.scopes.length > 0 && { scopes: tool.scopes }),
        ...(tool.callsPerMinute !== undefined && { calls_per_minute: tool.callsPerMinute }),
      },
    ]),
  );
  const root = {
    name,
    title,
    about,
    version: "1.0.0",
    base_url: baseUrl,
    egress,
    limits: { calls_per_minute: limits.callsPerMinute, timeout_ms: limits.timeoutMs, answer_bytes: limits.answerBytes },
    auth,
    tools,
  };
  const words = [
    "# What this server may do. It reads its limits here when it starts; a tool that is not listed is not served.",
    "# Nika reads what it may reach (egress), which secrets it is given (auth), and for each tool what a call is (class:",
    "# read, write, destructive) and whether it may be made (approval: never = without asking, ask, refuse).",
    "# After an edit: nika mcp build THIS-FOLDER",
  ];
  return `${words.join("\n")}\n\n${stringify(root)}\n`;
}

function toPackage({ name }: Plan, versions: Readonly<Record<string, string>>): string {
  const about = {
    name: `nika-mcp-${name}`,
    version: "1.0.0",
    private: true,
    type: "module",
    scripts: { start: "node src/server.ts", test: "node tests/contract.ts" },
    dependencies: Object.fromEntries(
      runtimePackages
        .filter((one) => one === "@modelcontextprotocol/server" || one === "smol-toml")
        .map((one) => [one, versions[one] ?? "*"]),
    ),
    engines: { node: ">=24" },
  };
  return `${JSON.stringify(about, undefined, 2)}\n`;
}

const tsconfig = `${JSON.stringify(
  {
    compilerOptions: {
      target: "es2024",
      lib: ["es2025"],
      types: ["node"],
      module: "nodenext",
      noEmit: true,
      strict: true,
      noUncheckedIndexedAccess: true,
      exactOptionalPropertyTypes: true,
      verbatimModuleSyntax: true,
      erasableSyntaxOnly: true,
      allowImportingTsExtensions: true,
      skipLibCheck: true,
    },
    include: ["src", "tests"],
  },
  undefined,
  2,
)}\n`;

function toReadme(plan: Plan): string {
  const { title, baseUrl, tools, auth, source } = plan;
  return [
    `# ${title} as an MCP server`,
    "",
    `Made by \`nika mcp build\` from ${source.kind === "markdown" ? "prose" : "an OpenAPI document"} (SHA-256 ${source.sha256.slice(0, 16)}…), for the service at ${baseUrl}.`,
    `${tools.length} tools; what each may do stands in mcp.toml, and what was planned in plan.json.`,
    "",
    "    node src/server.ts        speaks MCP over standard input and output, both eras of the protocol",
    "    node tests/contract.ts    tries every tool against a service that is played; nothing leaves the machine",
    "    nika mcp build .          after an edit of mcp.toml: tries it again and tells Nika",
    "",
    ...(auth.length === 0
      ? ["It signs in nowhere."]
      : auth.map(({ kind, secret }) =>
          kind === "oauth2"
            ? `Sign in with \`nika mcp grant ${plan.name}\`: the tokens are kept as the secret ${secret}, and renewed by Nika; the server is handed short-lived access tokens only.`
            : `Sign in with \`nika secrets set ${secret}\`${kind === "basic" ? " (as name:password)" : ""}.`,
        )),
    "",
  ].join("\n");
}
