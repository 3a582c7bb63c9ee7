import type { Block } from "../block.ts";
import { UnreadableError } from "../unreadable.ts";
export async function pdfBlocks(_bytes: Uint8Array): Promise<{ blocks: Block[]; title?: string; pages: number }> {
  throw new UnreadableError("unknownType");
}
