/**
 * The vector store's kill drill: batches, changes and deletions through Qdrant's client, `kill -9` at random moments, and at the end
 * everything counted. `node scripts/drills/vectorKills.ts [KILLS] [SEED]`
 */
import { killWhileWriting } from "../../tests/appliance/vectors/killing.ts";

const [kills = 200, seed = 1] = process.argv.slice(2).map(Number);
const startedAt = performance.now();
const { batches, points } = await killWhileWriting(kills, seed, (done) => {
  if (done % 20 === 0) console.log(`${done} of ${kills} kills`);
});
const seconds = Math.round((performance.now() - startedAt) / 1000);
console.log(
  `vector kills: ${kills} of seed ${seed} in ${seconds} s: ${batches} acknowledged batches, ${points} points, none lost, none in part`,
);
