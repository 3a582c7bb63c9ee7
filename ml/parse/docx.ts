import type { Block } from "../block.ts";
import { UnreadableError } from "../unreadable.ts";
export async function docxBlocks(_bytes: Uint8Array, _name: string): Promise<{ blocks: Block[]; title?: string }> {
  throw new UnreadableError("unknownType");
}
