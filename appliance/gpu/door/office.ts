/**
 * What the door knows of machines and their work: the control plane's word, and one small file for each machine that was let in, so that it is
 * known again after a restart whose nonce it was and what it works on.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { internal } from "../../../convex/_generated/api.js";
import type { Id } from "../../../convex/_generated/dataModel.js";
import type { Beat, MachineFacts, Shipped } from "../../../convex/model/agent.ts";
import { NikaError } from "../../../convex/model/error.ts";
import type { Offer } from "../../../convex/model/gpu.ts";
import type { Files } from "../../../functions/ports/files.ts";
import type { State } from "../../../functions/ports/state.ts";
import type { Work } from "../agent/guest/wire.ts";
import { gatherBeats } from "./beats.ts";
import { findFlaw } from "./fitness.ts";
import type { DoorState, Let } from "./door.ts";
import type { Pass } from "./passes.ts";
import type { Shelf } from "./shelf.ts";

/** Names the parcel in what is asked for; not shown to the command. */
export const parcelVariable = "NIKA_PARCEL";
/** Set for the paid proof of a provider, whose machine is to notice soon that nobody answers. */
export const proofVariable = "NIKA_PROOF";
const proofSpans = { idleMs: 30_000, resultsMs: 30_000 };
/** Between the word to end and the end, in ms. */
const graceMs = 30_000;
/** Enrolling may come before the answer to asking for the machine is written down; until this many beats it is said again. */
const repeats = 3;
const keptMs = 30 * 24 * 3_600_000;

export type OfficeOptions = {
  readonly state: State;
  readonly files: Files;
  readonly shelf: Shelf;
  readonly dir: string;
  readonly now: () => number;
  /** What a machine is to do that was not rented for a job. */
  readonly workers?: {
    order(machine: { readonly machineId: Id<"machines">; readonly offer: Offer }): Promise<Pick<Work, "command" | "environment">>;
  };
  readonly log?: (line: string) => void;
};
/** A worker has half a minute of its own to end what it does. */
const workerGraceMs = 45_000;

type Note = {
  readonly key: string;
  readonly secretHash: string;
  readonly nonce: string;
  readonly facts: MachineFacts;
  readonly let: Let;
  readonly deadline: number;
  /** It works for the appliance itself: there is no row of a job. */
  readonly isWorker?: boolean;
};

export const hashOfToken = (token: string): string => createHash("sha256").update(token).digest("hex");
const denied = (): NikaError => new NikaError("denied", "This machine is not known here, or its time is over.");

export function openOffice(options: OfficeOptions): DoorState & { prune(): Promise<void> } {
  const { state, files, shelf, dir, now, workers, log = () => undefined } = options;
  const fileOf = (name: string): string => join(dir, `${name.replaceAll(/[^a-zA-Z0-9]/g, "")}.json`);
  const tell = gatherBeats(state);
  const known = new Map<string, Note>();
  const said = new Map<string, { beats: number; isStarted: boolean }>();

  async function noteOf(machineId: string): Promise<Note> {
    const found = known.get(machineId);
    if (found) return found;
    const text = await readFile(fileOf(machineId), "utf8").catch(() => undefined);
    if (text === undefined) throw denied();
    const note = JSON.parse(text) as Note;
    known.set(machineId, note);
    return note;
  }
  const wordOf = ({ machineId, epoch }: Pass): { machineId: Id<"machines">; epoch: number } => ({
    machineId: machineId as Id<"machines">,
    epoch,
  });
  const mustBeMeant = (isMeant: boolean): void => {
    if (!isMeant) throw denied();
  };

  async function start(pass: Pass, facts: MachineFacts): Promise<void> {
    const one = said.get(pass.machineId) ?? { beats: 0, isStarted: false };
    if (one.isStarted) return;
    mustBeMeant(await state.mutation(internal.gpuJobs.started, { ...wordOf(pass), facts: linesOf(facts), machine: facts }));
    said.set(pass.machineId, { ...one, isStarted: true });
  }

  /** A list of files, kept with the control plane's own; the bytes are on the shelf. */
  async function keepList(path: string, list: readonly Shipped[]) {
    const bytes = Buffer.from(JSON.stringify(list));
    const storageId = await files.write(await state.mutation(internal.sources.uploadUrl, {}), bytes, {
      signal: AbortSignal.timeout(60_000),
    });
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    return { path, sha256, sizeBytes: bytes.length, storageId: storageId as Id<"_storage"> };
  }

  return {
    async enrol({ key, token, nonce, facts }) {
      const secretHash = hashOfToken(token);
      const before = (await readdir(dir).catch((): string[] => [])).includes(`${key}.json`)
        ? (JSON.parse(await readFile(fileOf(key), "utf8")) as Note)
        : undefined;
      // Its answer was lost: the same again, and to nobody else.
      if (before) {
        if (before.nonce !== nonce || before.secretHash !== secretHash) throw denied();
        return { ...before.let, lifeMs: before.deadline - now() };
      }
      const enrolled = await state.mutation(internal.machineBeats.enrol, { key, secretHash });
      const { machineId, epoch, deadline, ask, gpuJobId, lane, offer } = enrolled;
      const flaw = findFlaw(offer, facts);
      if (flaw !== undefined) {
        log(`gpu: a machine of ${offer.provider} (${offer.type}) is sent away. ${flaw}`);
        await state.mutation(internal.machineBeats.refuse, { machineId, epoch, says: flaw });
        throw denied();
      }
      const { [parcelVariable]: parcel, [proofVariable]: proof, ...environment } = ask?.environment ?? {};
      const order = lane === undefined ? undefined : await workers?.order({ machineId, offer });
      const worker = order && {
        ...order,
        jobId: machineId,
        graceMs: workerGraceMs,
        runMs: deadline - now(),
      };
      const job = ask && gpuJobId && { jobId: gpuJobId, parcel, command: ask.command, environment, graceMs, runMs: ask.runMsMax };
      const work = job ?? worker;
      const told: Let = {
        pass: { machineId, epoch },
        lifeMs: deadline - now(),
        ...(work && { work }),
        ...(proof && { spans: proofSpans }),
      };
      const note: Note = { key, secretHash, nonce, facts, let: told, deadline, isWorker: worker !== undefined };
      await mkdir(dir, { recursive: true, mode: 0o700 });
      for (const name of [machineId, key]) {
        await writeFile(`${fileOf(name)}.tmp`, JSON.stringify(note), { mode: 0o600 });
        await rename(`${fileOf(name)}.tmp`, fileOf(name));
      }
      known.set(machineId, note);
      return told;
    },

    async beat(pass, beat) {
      const note = await noteOf(pass.machineId);
      const one = said.get(pass.machineId) ?? { beats: 0, isStarted: false };
      if (one.beats < repeats) {
        said.set(pass.machineId, { ...one, beats: one.beats + 1 });
        const { key, secretHash } = note;
        await state.mutation(internal.machineBeats.enrol, { key, secretHash }).catch(() => undefined);
      }
      const answer = await tell({ ...wordOf(pass), ...toBeat(beat, note.facts) });
      if (!answer.isCurrent) return { lifeMs: 1, orders: ["end"] };
      if (answer.isDraining) return { lifeMs: answer.until - now(), orders: ["stop"] };
      if (note.let.work && note.isWorker !== true && beat.work === "running") await start(pass, note.facts);
      if (note.let.work && beat.work === "uploading" && beat.exitCode !== undefined && beat.takenInMs === undefined)
        await state.mutation(internal.gpuJobs.exited, { ...wordOf(pass), exit: beat.exitCode });
      return { lifeMs: answer.until - now(), orders: [] };
    },

    async held(pass) {
      const { let: told } = await noteOf(pass.machineId);
      if (!told.work || told.pass.epoch !== pass.epoch) throw denied();
      // What was given up may still run, and has files of its own to hand over.
      mustBeMeant(await state.query(internal.gpuJobs.isMeant, wordOf(pass)));
      return told.work;
    },

    async append(pass, offset, text) {
      const { isWorker = false, key } = await noteOf(pass.machineId);
      if (isWorker) {
        for (const line of text.split("\n").filter(Boolean)) log(`worker on ${key}: ${line}`);
        return offset + Buffer.byteLength(text);
      }
      const next = await state.mutation(internal.gpuJobs.appendLog, { ...wordOf(pass), offset, text });
      mustBeMeant(next >= 0);
      return next;
    },

    async checkpoint(pass, { number, files: list }) {
      const file = await keepList(`checkpoint-${number}.json`, list);
      mustBeMeant(await state.mutation(internal.gpuJobs.checkpoint, { ...wordOf(pass), seq: number, file }));
    },

    async finish(pass, { exit, isTaken, files: list }) {
      const { facts, let: told, isWorker = false } = await noteOf(pass.machineId);
      if (isTaken) return void (await state.mutation(internal.machineBeats.leave, { ...wordOf(pass), why: "preempted" }));
      if (isWorker) return void (await state.mutation(internal.machineBeats.leave, { ...wordOf(pass), why: "finished" }));
      await start(pass, facts);
      mustBeMeant(await state.mutation(internal.gpuJobs.exited, { ...wordOf(pass), exit }));
      const kept = [];
      for (const { path, sha256, sizeBytes } of list) {
        const file = told.work && shelf.find(told.work, sha256);
        if (file === undefined) throw new NikaError("missing", `${path} was named and never handed over.`);
        kept.push({ path, sha256, sizeBytes, storageId: (await keepFile(file, sizeBytes)) as Id<"_storage"> });
      }
      const manifestSha256 = createHash("sha256").update(JSON.stringify(list)).digest("hex");
      mustBeMeant(await state.mutation(internal.gpuJobs.finish, { ...wordOf(pass), files: kept, manifestSha256 }));
    },

    async prune() {
      for (const name of await readdir(dir).catch((): string[] => []))
        if ((await stat(join(dir, name))).mtimeMs < now() - keptMs) await rm(join(dir, name), { force: true });
    },
  };

  async function keepFile(file: string, sizeBytes: number): Promise<string> {
    const url = await state.mutation(internal.sources.uploadUrl, {});
    const bytes = { sizeBytes, pieces: (signal: AbortSignal) => createReadStream(file, { signal }) as AsyncIterable<Uint8Array> };
    return files.write(url, bytes, { signal: AbortSignal.timeout(3_600_000) });
  }
}

function toBeat({ seq, gpus: [gpu], diskFreeMb, work, problem }: Beat, facts: MachineFacts) {
  return {
    seq,
    diskFreeMb,
    says: problem ?? work,
    ...(gpu && {
      gpu: {
        name: facts.gpus[0]?.name ?? "GPU",
        busy: gpu.usePercent,
        memoryMb: gpu.memoryMb,
        ...(gpu.celsius !== undefined && { celsius: gpu.celsius }),
      },
    }),
  };
}

/** What the machine is, in lines for people. */
export function linesOf({ gpus, isSimulated, cpus, memoryMb, diskFreeMb, system }: MachineFacts): string[] {
  const gb = (mb: number): string => `${Math.round(mb / 1000)} GB`;
  return [
    `${system}, ${cpus} processors, ${gb(memoryMb)} of memory, ${gb(diskFreeMb)} free on disk`,
    ...gpus.map(({ name, memoryMb: each, driver, compute, uuid }) =>
      isSimulated === true
        ? `simulated GPU: ${name}, ${gb(each)}`
        : `${name}, ${gb(each)}, driver ${driver}${compute === undefined ? "" : `, compute capability ${compute}`}, ${uuid}`,
    ),
  ];
}
