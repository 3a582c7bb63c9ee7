/** Tools of the MCP servers that this appliance runs, as the owner allowed them. */
export type Tools = {
  /** All that may be called, by name. Nothing is started to tell. */
  list(): readonly OfferedTool[];
  /**
   * Calls one. What the tool itself says went wrong comes back with `isError`; a server that cannot be reached, a policy that forbids it and a
   * call that takes too long are errors (`missing`, `denied`, `unavailable`, `timeout`).
   */
  call(name: string, args: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<ToolResult>;
};

export type OfferedTool = {
  /** `mcp_<server>__<tool>`, at most 64 of letters, digits, `_` and `-`. */
  readonly name: string;
  readonly title?: string;
  readonly description?: string;
  readonly inputSchema: Readonly<Record<string, unknown>>;
};

export type ToolResult = {
  /** As MCP has it: texts, images, audio, links and embedded resources. */
  readonly content: readonly Readonly<Record<string, unknown>>[];
  readonly structuredContent?: unknown;
  readonly isError?: boolean;
};
