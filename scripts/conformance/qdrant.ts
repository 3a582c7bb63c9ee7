/**
 * `node scripts/conformance/qdrant.ts [ROUNDS] [SEED]`: the embedded vector store against Qdrant's own code. Random collections are filled,
 * changed and asked, the same on both sides, and ids, scores, payloads and vectors are compared. The peers come from PyPI into a folder
 * of their own; where that cannot be reached it says so and ends with success, having compared nothing.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { startVectors } from "../../appliance/vectors/vectors.ts";
import { random } from "../../tests/appliance/vectors/random.ts";
import { round, type Body, type Step } from "./qdrant/cases.ts";
import { differences } from "./qdrant/compare.ts";
import { reasonFor, type Peer } from "./qdrant/deviations.ts";

// Of the server that the store imitates, 1.19: the next engine compares unindexed texts by words.
const packages = ["qdrant-client==1.19.1", "qdrant-edge-py==0.8.0"];
const [rounds = 20, seed = 1] = process.argv.slice(2).map(Number);

type Reply = Record<string, { answer?: unknown; error?: string }>;

const python = findPython();
if (python) await compare(python);

/** The interpreter with both packages; undefined when they cannot be had here. */
function findPython(): string | undefined {
  const dir = join(homedir(), ".cache", "nika", `qdrant-peers-${packages.join("-").replace(/[^\w.]+/g, "-")}`);
  const found = join(dir, "bin", "python");
  if (existsSync(join(dir, "complete"))) return found;
  rmSync(dir, { recursive: true, force: true });
  const steps: [string, string[]][] = [
    ["python3", ["-m", "venv", dir]],
    [found, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", ...packages]],
    [found, ["-c", `import qdrant_client, qdrant_edge; open(${JSON.stringify(join(dir, "complete"))}, "w")`]],
  ];
  for (const [command, args] of steps) {
    const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8", timeout: 180_000 });
    if (status === 0) continue;
    console.log(
      `conformance: skipped, because ${packages.join(" and ")} cannot be installed here: ${error?.message ?? stderr.trim().split("\n").at(-1)}`,
    );
    return undefined;
  }
  return found;
}

async function compare(interpreter: string): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "nika-conformance-"));
  const key = "conformance";
  const store = await startVectors({ dir, apiKey: key, host: "127.0.0.1", log: console.error });
  const child = spawn(interpreter, [join(import.meta.dirname, "qdrant/peers.py")], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const peers = async (command: object): Promise<Reply> => {
    child.stdin.write(`${JSON.stringify(command)}\n`);
    const { value, done } = await lines.next();
    if (done) throw new Error("the peers ended; what they said stands above");
    return JSON.parse(value) as Reply;
  };
  const ours = async (method: string, path: string, body: Body): Promise<{ answer?: unknown; error?: string }> => {
    const response = await fetch(`${store.url}/collections/c${path}`, {
      method,
      headers: { "api-key": key, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const { result, status } = (await response.json()) as { result: unknown; status: { error?: string } };
    return response.ok ? { answer: result } : { error: `${response.status} ${status.error}` };
  };

  const tally = { steps: 0, compared: 0, refusedByBoth: 0, named: new Map<string, number>(), wrong: 0, localAlone: 0 };
  for (let i = 0; i < rounds; i++) {
    const from = random(seed * 1000 + i);
    const { config, steps } = round(from);
    await ours("DELETE", "", {});
    await ours("PUT", "", config);
    await peers({ do: "open", body: config, url: store.url, key });
    let wasDeleted = false;
    for (const step of steps) {
      tally.steps++;
      wasDeleted ||= step.kind.startsWith("delete") && step.kind !== "delete_payload";
      if (step.do === "write") {
        // Half of the writes reach the store through the Python client.
        const isThrough = from.next() < 0.5;
        const mine = isThrough ? undefined : await ours(step.method, `${step.path}?wait=true`, step.body);
        const reply = await peers({ ...step, to: ["edge", "local", ...(isThrough ? ["client"] : [])] });
        const own = mine ?? reply["client"]!;
        if ((own.error === undefined) !== (reply["edge"]!.error === undefined))
          report(i, step, `ours ${own.error}, edge ${reply["edge"]!.error}`);
        // A change that the engine refuses may be half done there; here nothing of it is. What follows cannot be compared.
        if (own.error !== undefined) break;
        continue;
      }
      await check(i, step, wasDeleted);
    }
  }
  child.stdin.end();
  await store.close();
  rmSync(dir, { recursive: true, force: true });

  for (const [reason, count] of tally.named) console.log(`named: ${count} times: ${reason}`);
  console.log(
    `conformance: ${rounds} rounds of seed ${seed}, ${tally.steps} steps, ${tally.compared} answers compared, ${tally.refusedByBoth} refused by both, ` +
      `${[...tally.named.values()].reduce((a, b) => a + b, 0)} named differences, ${tally.localAlone} where local mode alone differs, ${tally.wrong} unexplained`,
  );
  process.exitCode = tally.wrong > 0 || tally.compared === 0 ? 1 : 0;

  async function check(i: number, step: Extract<Step, { do: "ask" }>, wasDeleted: boolean): Promise<void> {
    const { kind, body } = step;
    const path = {
      query: "/points/query",
      groups: "/points/query/groups",
      scroll: "/points/scroll",
      count: "/points/count",
      facet: "/facet",
    }[kind];
    const wire = kind === "scroll" ? { ...body, with_vector: true, with_payload: true } : body;
    const mine = await ours("POST", path, wire);
    // What the engine alone, or its binding, cannot do is compared with the model.
    const truth = kind === "groups" || JSON.stringify(body).includes('"key":"b","match"') ? "local" : "edge";
    const reply = await peers({ ...step, to: ["edge", "local", "client"] });
    const other = reply[truth]!;
    const client = reply["client"]!;
    if (mine.error === undefined && client.error !== undefined) return report(i, step, `the Python client: ${client.error}`);
    if (mine.error !== undefined || other.error !== undefined) {
      if (mine.error !== undefined && other.error !== undefined) return void tally.refusedByBoth++;
      return judge(i, step, [`ours ${mine.error ?? "answered"}, ${truth} ${other.error ?? "answered"}`], {
        truth,
        wasDeleted,
        hasTies: false,
      });
    }
    const through = differences(kind, mine.answer, client.answer);
    if (through.length > 0) return report(i, step, `through the Python client: ${through[0]}`);
    tally.compared++;
    const found = differences(kind, mine.answer, other.answer);
    if (found.length > 0) {
      const hasTies = kind === "query" && (await tiesIn((body["prefetch"] as Body[] | undefined) ?? []));
      return judge(i, step, found, { truth, wasDeleted, hasTies });
    }
    const local = reply["local"]!;
    if (local.error !== undefined || differences(kind, mine.answer, local.answer).length > 0) tally.localAlone++;
  }

  /** Whether a prefetch, asked alone, has two points of one score: fused, their order decides, and that is each engine's own choice. */
  async function tiesIn(prefetches: readonly Body[]): Promise<boolean> {
    for (const prefetch of prefetches) {
      if (prefetch["prefetch"] !== undefined) continue;
      const alone = await ours("POST", "/points/query", prefetch);
      const points = (alone.answer as { points?: { score: number }[] } | undefined)?.points ?? [];
      const scores = points.map(({ score }) => score).toSorted((a, b) => a - b);
      if (scores.some((score, at) => at > 0 && Math.abs(score - (scores[at - 1] ?? 0)) <= 1e-5 * Math.max(1, Math.abs(score))))
        return true;
    }
    return false;
  }

  function judge(i: number, step: Step, found: readonly string[], peer: Peer): void {
    const reason = reasonFor(step, found[0]!, peer);
    if (reason === undefined) return report(i, step, `${peer.truth}: ${found.slice(0, 3).join("; ")}`);
    tally.named.set(reason, (tally.named.get(reason) ?? 0) + 1);
  }

  function report(i: number, step: Step, what: string): void {
    tally.wrong++;
    if (tally.wrong > 12) return;
    console.error(`round ${i}: ${step.kind} ${JSON.stringify(step.body).slice(0, 900)}\n  ${what}`);
  }
}
