/**
 * The exam of everyone who lets machines: against an emulator that speaks the vendor's wire format, keeps the vendor's books, and lies as
 * the vendor does. What is asked here is what the lease engine relies on to leave no machine billing.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import {
  machineName,
  type CreateResult,
  type Failure,
  type FailureKind,
  type MachineIntent,
  type Need,
  type Observed,
  type Offer,
  type Ref,
  type Scope,
} from "../../convex/model/gpu.ts";
import type { Provider } from "../../functions/ports/gpu.ts";
import type { Fault, Lying } from "../fakes/gpu/fault.ts";

/** What goes wrong with what is asked next. */
export type ExamFault =
  /** The machine is made and the answer lost; or the question is lost. */
  | { readonly type: "lostAfter" }
  | { readonly type: "lostBefore" }
  /** The next create is refused for this reason, in the vendor's own words. */
  | { readonly type: "refused"; readonly kind: FailureKind }
  /** The next listing breaks in the middle. */
  | { readonly type: "listBroken" }
  /** Credentials stop being good, for everything. */
  | { readonly type: "revoked" };

export type ExamWorld = {
  readonly provider: Provider;
  readonly now: () => number;
  /** Lets time pass for the vendor. */
  advance(ms: number): void;
  /** Makes that go wrong; what it gives back ends it. */
  fault(fault: ExamFault): () => void;
  /** Somebody else made a machine in the same account. */
  makeForeign(): void;
  /** By the vendor's own books: what is billed, and what was left beside machines. */
  left(): { readonly machines: number; readonly satellites: number };
  /** Public keys that the account knows, where `pushSshKey` is there. */
  readonly keys?: () => readonly string[];
  /** The credentials that were handed in. */
  readonly secrets: readonly string[];
  close(): Promise<void>;
};

export type ProviderCandidate = {
  readonly name: string;
  open(): Promise<ExamWorld>;
  /** Something that it offers. */
  readonly need: Need;
  /** How it refuses creates: how far each reason reaches. */
  readonly refusals: Readonly<Partial<Record<FailureKind, Scope>>>;
  /** Time within which an end comes true. Default 10 min. */
  readonly endsWithinMs?: number;
  /** Cannot lose answers: it is no vendor but this machine. */
  readonly isLocal?: boolean;
};

/** The exam's world made of an emulator, by the lies that all emulators can tell. */
export function lyingWorld(
  world: Omit<ExamWorld, "advance" | "fault" | "makeForeign" | "left"> & {
    readonly lying: Lying;
    readonly move: (ms: number) => void;
  },
): ExamWorld {
  const { lying, move } = world;
  const refusals: Partial<Record<FailureKind, Fault>> = {
    noCapacity: "noCapacity",
    quota: "quota",
    balance: "balance",
    rateLimit: "rateLimited",
    auth: "keyRevoked",
    transient: "down",
  };
  return {
    ...world,
    advance(ms) {
      move(ms);
      lying.pass();
    },
    fault(fault) {
      const name =
        fault.type === "refused"
          ? refusals[fault.kind]
          : (
              {
                lostAfter: "createReplyLostAfter",
                lostBefore: "createReplyLostBefore",
                listBroken: "down",
                revoked: "keyRevoked",
              } as const
            )[fault.type];
      if (name === undefined || !lying.can.includes(name)) throw new Error(`the emulator cannot do ${JSON.stringify(fault)}`);
      lying.set(name);
      return () => lying.clear(name);
    },
    makeForeign: () => lying.addForeign(),
    left() {
      const satellites = lying.alive().filter((one) => one.isSatellite).length;
      return { machines: lying.alive().length - satellites, satellites };
    },
  };
}

const installId = "k17exam0installation00000000000a";
const enrolToken = "enrol-7Yq2mW9xK4";
const jobSecret = "job-secret-Zp81";
const signal = AbortSignal.timeout(60_000);

/** An intent as the lease engine writes them; `machine` names it. */
export function examIntent(
  offer: Offer,
  now: number,
  machine = "machine0exam",
  changes: Partial<MachineIntent> = {},
): MachineIntent {
  const machineId = `${machine.padEnd(12, "0")}00000000000000000000`;
  const deadline = now + 3_600_000;
  const hash = createHash("sha1").update(`${installId}/${machineId}/1`).digest("hex");
  return {
    name: machineName({ installId, machineId, deadline }),
    installId,
    machineId,
    token: `${hash.slice(0, 8)}-${hash.slice(8, 12)}-5${hash.slice(13, 16)}-a${hash.slice(17, 20)}-${hash.slice(20, 32)}`,
    deadline,
    offer,
    diskMb: 40_000,
    publicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2cJ0exam0exam0exam0exam0exam0exam0exam0ex nika",
    boot: `#cloud-config\nruncmd:\n  - [sh, -c, "echo ${enrolToken}"]\n`,
    container: { image: "ghcr.io/example/nika-agent:1", args: ["run", "it's"], environment: { NIKA_TOKEN: jobSecret } },
    ...changes,
  };
}

export function providerContract(candidate: ProviderCandidate): void {
  const { name, need, refusals, endsWithinMs = 600_000, isLocal = false } = candidate;
  const exam = (sentence: string, run: (world: ExamWorld, offer: Offer) => Promise<void>): void =>
    void test(`${name}: ${sentence}`, async () => {
      const world = await candidate.open();
      try {
        const [offer] = await world.provider.offers(need, signal);
        assert.ok(offer, "nothing is offered");
        await run(world, offer);
      } finally {
        await world.close();
      }
    });

  const shown = async ({ provider }: ExamWorld): Promise<Observed[]> => await Array.fromAsync(provider.list(signal));
  const live = (all: readonly Observed[]): Observed[] => all.filter(({ state }) => state !== "gone");
  const mine = (all: readonly Observed[], { machineId }: MachineIntent): Observed[] =>
    live(all).filter((one) => one.machineId !== undefined && machineId.startsWith(one.machineId));
  /** Ends it as the engine does: saying so again until it is proven. */
  const end = async (world: ExamWorld, ref: Ref): Promise<void> => {
    const rounds = 20;
    for (let round = 0; round < rounds; round++) {
      await world.provider.terminate(ref, signal);
      world.advance(endsWithinMs / rounds + 1_000);
    }
    const last = await world.provider.describe(ref, signal);
    assert.ok(last === undefined || last.state === "gone", `it is still ${last?.state}`);
    assert.deepEqual(last?.satellites ?? [], []);
  };
  const created = (result: CreateResult): Observed => {
    assert.equal(result.type, "created", JSON.stringify(result));
    return result.observed;
  };
  const settle = (world: ExamWorld): void => world.advance(world.provider.capability.listLagMs + 1_000);
  const holdsNoSecret = (world: ExamWorld, failure: Failure): void => {
    for (const secret of [...world.secrets, enrolToken, jobSecret])
      assert.ok(!JSON.stringify(failure).includes(secret), `it tells a secret: ${failure.says}`);
    assert.match(failure.says, /^\S.{5,400}\.$/su);
    assert.ok(!failure.says.includes("\n"));
  };

  exam("offers tell price, size and place, and what was asked for holds", async ({ provider }) => {
    for (const offer of await provider.offers(need, signal)) {
      assert.equal(offer.provider, provider.id);
      assert.ok(provider.capability.form.includes(offer.form));
      assert.ok(Number.isInteger(offer.hourly.micros) && offer.hourly.micros >= 0, offer.id);
      assert.ok(offer.quantumMs > 0 && offer.minimumMs >= 0 && offer.priceSource !== "");
      if (need.gpu)
        assert.ok(offer.gpu && offer.gpu.count >= need.gpu.count && offer.gpu.memoryMb >= need.gpu.memoryMb, offer.id);
      if (!need.maySpot) assert.equal(offer.isSpot, false);
    }
    const inEu = await provider.offers({ ...need, isInEu: true }, signal);
    assert.ok(inEu.every((offer) => offer.isInEu));
    assert.deepEqual(await provider.offers({ ...need, gpu: { count: 999, memoryMb: 9e9 } }, signal), []);
  });

  exam(
    "what was made is described and listed with identity and deadline, and is gone once it was ended, to the last disk",
    async (world, offer) => {
      const intent = examIntent(offer, world.now());
      const { ref } = created(await world.provider.create(intent, signal));
      settle(world);

      const described = await world.provider.describe(ref, signal);
      for (const one of [described, mine(await shown(world), intent)[0]]) {
        assert.ok(one);
        assert.deepEqual(one.ref, ref);
        assert.ok(one.installId !== undefined && one.installId.length >= 8 && installId.startsWith(one.installId));
        assert.ok(one.machineId !== undefined && one.machineId.length >= 12 && intent.machineId.startsWith(one.machineId));
        assert.equal(one.deadline, Math.ceil(intent.deadline / 1000) * 1000);
        assert.ok(one.state === "booting" || one.state === "running", one.state);
        assert.equal(one.isBilled, true);
      }
      assert.equal(world.left().machines, 1);
      await end(world, ref);
      settle(world);
      assert.deepEqual(mine(await shown(world), intent), []);
      assert.deepEqual(world.left(), { machines: 0, satellites: 0 });
    },
  );

  exam("ending twice, or what never was, is no mistake", async (world, offer) => {
    const { ref } = created(await world.provider.create(examIntent(offer, world.now()), signal));
    await end(world, ref);
    assert.ok(["accepted", "gone"].includes(await world.provider.terminate(ref, signal)));
    assert.deepEqual(world.left(), { machines: 0, satellites: 0 });
  });

  exam("asking twice with one token comes to what is promised, and leaves nothing unseen", async (world, offer) => {
    const intent = examIntent(offer, world.now());
    await world.provider.create(intent, signal);
    settle(world);
    await world.provider.create(intent, signal);
    settle(world);
    const found = mine(await shown(world), intent);
    assert.equal(found.length, world.left().machines);
    if (world.provider.capability.createIs !== "notOnce") assert.equal(found.length, 1);
    for (const { ref } of found) await end(world, ref);
    assert.deepEqual(world.left(), { machines: 0, satellites: 0 });
  });

  exam("several are listed, each once, however long the list", async (world, offer) => {
    const intents = ["machine0aaaa", "machine0bbbb", "machine0cccc"].map((machine) => examIntent(offer, world.now(), machine));
    for (const intent of intents) created(await world.provider.create(intent, signal));
    settle(world);
    const all = await shown(world);
    for (const intent of intents) assert.equal(mine(all, intent).length, 1);
    assert.equal(world.left().machines, 3);
  });

  exam("what others made is shown as theirs", async (world) => {
    world.makeForeign();
    settle(world);
    const all = live(await shown(world));
    assert.ok(all.every((one) => one.installId === undefined || !installId.startsWith(one.installId)));
    assert.equal(world.left().machines, 1);
  });

  exam("a machine that is not there is not described", async (world, offer) => {
    const { ref } = created(await world.provider.create(examIntent(offer, world.now()), signal));
    await end(world, ref);
    world.advance(24 * 3_600_000);
    assert.ok([undefined, "gone"].includes((await world.provider.describe(ref, signal))?.state));
  });

  exam("what is free to look at is looked at, and says what it found", async (world) => {
    const checks = await world.provider.check(signal);
    assert.ok(checks.length > 0);
    for (const check of checks) assert.ok(check.passed, `${check.name}: ${check.says}`);
    assert.deepEqual(world.left(), { machines: 0, satellites: 0 });
  });

  if (isLocal) return;

  exam("a create whose answer was lost is unknown, and listing finds what it made", async (world, offer) => {
    const intent = examIntent(offer, world.now());
    world.fault({ type: "lostAfter" });
    const result = await world.provider.create(intent, signal);
    assert.equal(result.type, "unknown");
    holdsNoSecret(world, result.failure);
    settle(world);
    const found = mine(await shown(world), intent);
    assert.equal(found.length, 1);
    for (const { ref } of found) await end(world, ref);
    assert.deepEqual(world.left(), { machines: 0, satellites: 0 });
  });

  exam("a create that was lost on its way is never called made, and nothing is found", async (world, offer) => {
    const intent = examIntent(offer, world.now());
    world.fault({ type: "lostBefore" });
    assert.notEqual((await world.provider.create(intent, signal)).type, "created");
    settle(world);
    for (const { ref } of mine(await shown(world), intent)) await end(world, ref);
    assert.deepEqual(world.left(), { machines: 0, satellites: 0 });
  });

  for (const [kind, scope] of Object.entries(refusals) as [FailureKind, Scope][])
    exam(`a create refused with ${kind} says so, and how far it reaches`, async (world, offer) => {
      const clear = world.fault({ type: "refused", kind });
      const result = await world.provider.create(examIntent(offer, world.now()), signal);
      clear();
      assert.notEqual(result.type, "created");
      const { failure } = result as Extract<CreateResult, { failure: Failure }>;
      assert.deepEqual({ kind: failure.kind, scope: failure.scope }, { kind, scope }, failure.says);
      holdsNoSecret(world, failure);
      world.advance(3_600_000);
      for (const { ref } of live(await shown(world))) await end(world, ref);
      assert.deepEqual(world.left(), { machines: 0, satellites: 0 });
    });

  exam("a listing that breaks fails, rather than leaving some out", async (world, offer) => {
    for (const machine of ["machine0aaaa", "machine0bbbb", "machine0cccc"])
      created(await world.provider.create(examIntent(offer, world.now(), machine), signal));
    settle(world);
    world.fault({ type: "listBroken" });
    await assert.rejects(shown(world), { name: "ProviderError" });
  });

  exam("credentials that are no longer good fail with auth, and the check says so without throwing", async (world, offer) => {
    const { ref } = created(await world.provider.create(examIntent(offer, world.now()), signal));
    world.fault({ type: "revoked" });
    for (const act of [
      async () => await world.provider.describe(ref, signal),
      async () => await world.provider.terminate(ref, signal),
      async () => await shown(world),
    ])
      await assert.rejects(act(), (error: { failure?: Failure }) => {
        assert.equal(error.failure?.kind, "auth", JSON.stringify(error));
        holdsNoSecret(world, error.failure);
        return true;
      });
    const checks = await world.provider.check(signal);
    assert.ok(checks.some((check) => !check.passed));
    for (const secret of world.secrets) assert.ok(!JSON.stringify(checks).includes(secret));
  });

  exam("a boot script larger than it may be is refused before anything is asked for", async (world, offer) => {
    const { bootBytesMax } = world.provider.capability;
    if (bootBytesMax === 0) return;
    const boot = "#".repeat(bootBytesMax + 1);
    const result = await world.provider.create(examIntent(offer, world.now(), undefined, { boot }), signal);
    assert.equal(result.type, "failed");
    assert.equal((result as { failure: Failure }).failure.kind, "invalid");
    settle(world);
    assert.deepEqual(world.left(), { machines: 0, satellites: 0 });
  });

  exam("a key joins those that are there, and is there once", async (world) => {
    if (!world.provider.pushSshKey || !world.keys) return;
    const before = world.keys();
    const key = {
      name: "nika",
      publicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExamExamExamExamExamExamExamExamExamExamExam nika",
    };
    await world.provider.pushSshKey(key, signal);
    await world.provider.pushSshKey(key, signal);
    const after = world.keys();
    assert.ok(before.length > 0, "somebody's key should be there beforehand");
    for (const one of before) assert.ok(after.includes(one), "somebody's key was lost");
    assert.equal(after.length, before.length + 1);
  });
}
