import type { Block } from "../block.ts";
import { UnreadableError } from "../unreadable.ts";
export async function mailBlocks(
  _bytes: Uint8Array,
  _depth: number,
  _parse: unknown,
): Promise<{ blocks: Block[]; title?: string }> {
  throw new UnreadableError("unknownType");
}
