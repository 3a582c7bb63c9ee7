/** Speaks MCP over standard input and output: `node src/server.ts`. */
import { join } from "node:path";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import { openCaller } from "./call.ts";
import { readManifest } from "./manifest.ts";
import { toServer } from "./mcp.ts";
import { tools } from "./tools.ts";

const manifest = readManifest(join(import.meta.dirname, "../mcp.toml"));
const call = openCaller(manifest, process.env);
serveStdio(() => toServer(manifest, tools, call), { onerror: (error) => console.error(error.message) });
