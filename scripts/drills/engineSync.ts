/**
 * The sync drill: rounds of random clients whose sockets break and whose engine is killed; see tests/appliance/engine/sync/randomClients.ts.
 * `node scripts/drills/engineSync.ts [ROUNDS] [SEED]`
 */
import { syncRound } from "../../tests/appliance/engine/sync/randomClients.ts";

const [rounds = 20, seed = 1] = process.argv.slice(2).map(Number);
let problemCount = 0;
const sum = { entries: 0, states: 0, sockets: 0 };
for (let round = 0; round < rounds; round++) {
  const own = seed + round;
  const seen = await syncRound({ seed: own, ms: 5000, rawClients: 4, convexClients: 3, kills: own % 4 });
  sum.entries += seen.entries;
  sum.states += seen.states;
  sum.sockets += seen.sockets;
  problemCount += seen.problems.length;
  for (const problem of seen.problems.slice(0, 20)) console.error(`seed ${own}: ${problem}`);
  console.log(
    `round ${round + 1} (seed ${own}): ${seen.entries} commits, ${seen.states} states seen, ${seen.problems.length} problems`,
  );
}
console.log(
  `sync: ${rounds} rounds, ${sum.entries} commits, ${sum.states} states seen over ${sum.sockets} sockets, ${problemCount} problems`,
);
process.exit(problemCount === 0 ? 0 : 1);
