/** A plan as a person reads it, in markdown. */
import type { Auth, Plan } from "./plan.ts";

/** Whole: what the owner agrees to stands in it. */
export function toPlanText(plan: Plan): string {
  const { name, title, about, source, baseUrl, egress, limits, auth, tools, left, notes } = plan;
  const counts = (["read", "write", "destructive"] as const).map(
    (kind) => `${tools.filter((tool) => tool.class === kind).length} ${kind}`,
  );
  return [
    `# Plan: ${title} as the MCP server "${name}"`,
    "",
    ...(about === "" ? [] : [about, ""]),
    `- from: ${source.from} (${source.kind})`,
    `- service: ${baseUrl}`,
    `- may reach: ${egress.join(", ")}, and nothing else`,
    `- limits: ${limits.callsPerMinute} calls a minute, ${limits.timeoutMs / 1000} s a call, ${Math.round(limits.answerBytes / 1024)} KB an answer`,
    ...(auth.length === 0 ? ["- signs in: nowhere"] : auth.map((way) => `- signs in: ${waySaid(way)}`)),
    `- tools: ${tools.length} (${counts.join(", ")})`,
    "",
    "| tool | does | class | asks you | request |",
    "| --- | --- | --- | --- | --- |",
    ...tools.map(
      (tool) =>
        `| mcp_${name}__${tool.name} | ${cell(tool.title)} | ${tool.class} | ${tool.approval === "never" ? "no" : tool.approval === "ask" ? "each time" : "refused"} | ${tool.method} ${cell(tool.path)} |`,
    ),
    "",
    ...(left.count === 0
      ? []
      : [
          `## Not taken: ${left.count} operations`,
          "",
          "Take others with `--tag GROUP` or more with `--max N`.",
          "",
          ...left.groups
            .slice(0, 60)
            .map(({ group, count, some }) => `- ${group}: ${count} (${some.slice(0, 3).join(", ")}${count > 3 ? ", …" : ""})`),
          ...(left.groups.length > 60 ? [`- … and ${left.groups.length - 60} more groups`] : []),
          "",
        ]),
    ...(notes.length === 0 ? [] : ["## Not understood, or to know", "", ...notes.map((note) => `- ${note}`), ""]),
  ].join("\n");
}

const cell = (text: string): string => text.replaceAll("|", String.raw`\|`);

function waySaid({ id, kind, in: place, parameter, secret, scopes }: Auth): string {
  if (kind === "oauth2")
    return `${id}: OAuth 2.0 with PKCE, kept as the secret ${secret}${scopes?.length ? `, for ${scopes.join(" ")}` : ""}`;
  if (kind === "apiKey") return `${id}: a key in the ${place} "${parameter}", kept as the secret ${secret}`;
  return `${id}: ${kind === "basic" ? "name:password" : "a token"}, kept as the secret ${secret}`;
}
