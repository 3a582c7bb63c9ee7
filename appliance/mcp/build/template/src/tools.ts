/** All tools; written anew for each server. */
import type { Tool } from "./tool.ts";

export const tools: readonly Tool[] = [];
