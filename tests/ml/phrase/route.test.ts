import assert from "node:assert/strict";
import { test } from "node:test";
import { queryClasses, route, type QueryClass, type Situation } from "../../../ml/phrase/route.ts";
import { utterances } from "./utterances.ts";

const situation: Situation = {
  now: Date.parse("2026-11-21T09:00:00Z"),
  zone: "Europe/Paris",
  targets: ["homelab", "nexus"],
  isOwner: true,
};

test("requests reach the part of Nika they are meant for", (t) => {
  const tally = new Map<QueryClass, { hit: number; missed: number; wrong: number }>(
    queryClasses.map((name) => [name, { hit: 0, missed: 0, wrong: 0 }]),
  );
  const misses: string[] = [];
  let count = 0;
  for (const [wanted, texts] of Object.entries(utterances) as [QueryClass, readonly string[]][]) {
    for (const text of texts) {
      count += 1;
      const { queryClass } = route(text, { ...situation, hasOpenApproval: wanted === "approve" });
      if (queryClass === wanted) tally.get(wanted)!.hit += 1;
      else {
        tally.get(wanted)!.missed += 1;
        tally.get(queryClass)!.wrong += 1;
        misses.push(`${text}: ${queryClass} instead of ${wanted}`);
      }
    }
  }
  const scores = [...tally]
    .filter(([, { hit, missed }]) => hit + missed > 0)
    .map(([, { hit, missed, wrong }]) => (2 * hit) / Math.max(1, 2 * hit + missed + wrong));
  const macroF1 = scores.reduce((sum, score) => sum + score, 0) / scores.length;
  t.diagnostic(`${count} utterances, macro-F1 ${macroF1.toFixed(3)}${misses.map((miss) => `\n  ${miss}`).join("")}`);
  assert.ok(count >= 300);
  assert.ok(macroF1 >= 0.9, `macro-F1 ${macroF1.toFixed(3)}\n${misses.join("\n")}`);
});

test("where a schedule is kept follows from what is asked", () => {
  assert.equal(route("every 2 minutes check that pod X has finished in this session", situation).backend, "session");
  assert.equal(route("every morning send me a brief of my mails", situation).backend, "persistent");
  assert.equal(route("purge les logs chaque nuit", situation).backend, "host");
  assert.equal(route("every 5 minutes check the build until it passes", situation).backend, "session");
});

test("only the owner may have the machine itself looked after", () => {
  assert.notEqual(route("purge les logs chaque nuit", { ...situation, isOwner: false }).queryClass, "infra");
});

test("a message to a remote agent keeps its writer's words", () => {
  const { queryClass, target, message } = route("Envoie à homelab: Répare le DNS de Nexus", situation);
  assert.deepEqual(
    { queryClass, target, message },
    { queryClass: "bridge_send", target: "homelab", message: "Répare le DNS de Nexus" },
  );
});

test("a yes is an answer only while a question is open", () => {
  assert.equal(route("oui", situation).queryClass, "chat");
  assert.equal(route("oui", { ...situation, hasOpenApproval: true }).queryClass, "approve");
});
