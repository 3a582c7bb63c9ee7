import assert from "node:assert/strict";
import { test } from "node:test";
import { splitTasks } from "../../../ml/phrase/tasks.ts";

const rows: readonly (readonly [text: string, isInTurn: boolean, ...tasks: string[]])[] = [
  ["read the news; ask when the lease ends; call the bank", false, "read the news", "ask when the lease ends", "call the bank"],
  ["lis les nouvelles ; combien reste-t-il à payer ?", false, "lis les nouvelles", "combien reste-t-il à payer ?"],
  ["prépare le rapport puis envoie à homelab : prêt", true, "prépare le rapport", "envoie à homelab : prêt"],
  ["check the backups, then tell homelab: done", true, "check the backups", "tell homelab: done"],
  ["range le bureau, et ensuite appelle Léa", true, "range le bureau", "appelle Léa"],
  ["1. water the plants; 2. feed the cat", false, "water the plants", "feed the cat"],
  ['write "first; then" on the board', false, 'write "first; then" on the board'],
  ["dis « a ; b » à voix haute", false, "dis « a ; b » à voix haute"],
  ["salt and pepper", false, "salt and pepper"],
  ["lock the door;", false, "lock the door"],
  ["compare A and B, and C", false, "compare A and B, and C"],
  ["authenticate the users", false, "authenticate the users"],
  ["", false],
];

for (const [text, isInTurn, ...tasks] of rows)
  test(`${JSON.stringify(text)} is ${tasks.length} ${isInTurn ? "in turn" : "side by side"}`, () => {
    assert.deepEqual(splitTasks(text), { tasks, isInTurn });
  });
