import { join } from "node:path";

/** Where the log of tool calls and decisions lies. */
export const ledgerDir = (dataDir: string): string => join(dataDir, "mcp", "events");
