import { test } from "node:test";
import { killWhileWriting } from "./killing.ts";

// More of it: node scripts/drills/vectorKills.ts
const kills = 6;

test(`${kills} kills while writing: what was acknowledged is there, no batch is half there, every start succeeds`, async () => {
  await killWhileWriting(kills, 8);
});
