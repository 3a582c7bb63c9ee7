/**
 * A core whose app and variables may change while clients stay connected. A change opens a new core over the same database and gives it
 * every call from then on; calls that come in between wait. What is wrong with the new one shows before it is in force, and then the
 * old one goes on. Every live query runs again afterwards.
 */
import { DeveloperError } from "../codec/value.ts";
import type { Core, CoreOptions } from "../core.ts";
import type { Commit, ReadRange } from "../model/commit.ts";
import { deploymentIndex } from "../admin/work.ts";
import { envIndex } from "../txn/syscalls.ts";
import type { DeploymentChanges, EnvChange } from "../model/deployment.ts";
import { envPrefix, readStored } from "./stored.ts";

/** Every result depends on the deployment that it was worked out by. */
const deploymentRead: ReadRange = { index: deploymentIndex, lower: Uint8Array.of(0), upper: Uint8Array.of(0, 0) };
const nameLengthMax = 40;
const valueBytesMax = 8 * 1024;
const variablesMax = 100;

export async function openDeployable(options: CoreOptions, openCore: (options: CoreOptions) => Promise<Core>): Promise<Core> {
  const commitListeners = new Set<(commit: Commit) => void>();
  const scheduleListeners = new Set<() => void>();
  const changeListeners = new Set<() => void>();
  let env = { ...readStored(options.dir).env, ...options.env };
  let core = listening(await openCore(options));
  /** Set while one core gives way to the next. */
  let swap: Promise<void> | undefined;
  let changing: Promise<unknown> = Promise.resolve();
  let busy = 0;
  let rest: () => void = () => undefined;
  let isClosed = false;

  function listening(fresh: Core): Core {
    fresh.onCommit((commit) => {
      for (const listener of commitListeners) listener(commit);
    });
    fresh.onSchedule(() => {
      for (const listener of scheduleListeners) listener();
    });
    return fresh;
  }

  const ready = async (): Promise<void> => {
    if (!swap) return;
    await swap;
    await ready();
  };

  /** Calls that end soon hold a change up; actions do not, they end with the core they run in. */
  const use = async <T>(work: (core: Core) => Promise<T>): Promise<T> => {
    await ready();
    busy++;
    try {
      return await work(core);
    } finally {
      if (--busy === 0) rest();
    }
  };
  const pass = async <T>(work: (core: Core) => Promise<T>): Promise<T> => {
    await ready();
    return work(core);
  };

  /** `names` are of the variables that changed, when nothing else does. */
  const replace = async (push: string | undefined, names: readonly string[]): Promise<void> => {
    if (busy > 0) await new Promise<void>((resolve) => (rest = resolve));
    const earlierTs = core.ts();
    const { fingerprint } = core.deployment;
    await core.close();
    let refusal: unknown;
    try {
      core = listening(await openCore({ ...options, push }));
      env = { ...readStored(options.dir).env, ...options.env };
    } catch (error) {
      refusal = error;
      core = listening(await openCore(options));
    }
    const ts = core.ts() > earlierTs ? core.ts() : earlierTs + 1n;
    // Only who read one of them is concerned, unless the app itself is another for it.
    const isSameApp = push === undefined && fingerprint !== undefined && fingerprint === core.deployment.fingerprint;
    const writes = isSameApp
      ? names.map((name) => ({ index: envIndex, key: Buffer.from(name) }))
      : [{ index: deploymentIndex, key: Uint8Array.of(0) }];
    const commit: Commit = { ts, writes };
    for (const listener of commitListeners) listener(commit);
    if (refusal !== undefined) throw refusal;
  };

  /** One change after the other. */
  const change = (push: string | undefined, names: readonly string[] = []): Promise<void> => {
    if (isClosed) throw new Error("The engine is closing.");
    const done = replace(push, names);
    swap = done.then(
      () => undefined,
      () => undefined,
    );
    const settled = swap.then(() => {
      swap = undefined;
      for (const listener of changeListeners) listener();
      for (const listener of scheduleListeners) listener();
    });
    return done.finally(() => settled);
  };
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = changing.then(work);
    changing = done.catch(() => undefined);
    return done;
  };

  const writeEnv = (changes: readonly EnvChange[]): Promise<string> =>
    use(async (one) => {
      if (!one.administer) throw new Error("This core has no settings.");
      return one.administer({
        type: "writeMeta",
        changes: changes.map(({ name, value }) => [envPrefix + name, value] as const),
      });
    });

  const changes: DeploymentChanges = {
    canPush: options.functionsDir === undefined,
    env: () => env,
    setEnv: (wanted) =>
      inTurn(async () => {
        mustBeSettable(wanted, options.env, env);
        const held = readStored(options.dir).env;
        await writeEnv(wanted);
        try {
          await change(
            undefined,
            wanted.map(({ name }) => name),
          );
        } catch (error) {
          // The app could not be loaded with them: as if they had never been set.
          await writeEnv(wanted.map(({ name }) => ({ name, value: held[name] ?? null })));
          throw error;
        }
      }),
    push: (app) => inTurn(() => change(app)),
    onChange: (listener) => {
      changeListeners.add(listener);
      return () => changeListeners.delete(listener);
    },
  };

  return {
    get deployment() {
      return core.deployment;
    },
    changes,
    administer: (work) =>
      use(async (one) => {
        if (!one.administer) throw new Error("This core has no settings.");
        return one.administer(work);
      }),
    ts: () => core.ts(),
    observe: (ts) => core.observe(ts),
    queries: async (requests) => {
      const runs = await use((one) => one.queries(requests));
      return runs.map((run) => ({ ...run, reads: [...run.reads, deploymentRead] }));
    },
    mutation: (request) => use((one) => one.mutation(request)),
    action: (request) => pass((one) => one.action(request)),
    http: (request, route, identity, client) => pass((one) => one.http(request, route, identity, client)),
    onCommit: (listener) => {
      commitListeners.add(listener);
      return () => commitListeners.delete(listener);
    },
    touch: (index) => use((one) => one.touch(index)),
    storeFile: (file) => use((one) => one.storeFile(file)),
    findFile: (uuid) => use((one) => one.findFile(uuid)),
    filePath: (sha256) => core.filePath(sha256),
    isUploadToken: (token) => core.isUploadToken(token),
    nextDueMs: () => use((one) => one.nextDueMs()),
    runDue: (nowMs) => use((one) => one.runDue(nowMs)),
    settleJob: (id, outcome) => use((one) => one.settleJob(id, outcome)),
    onSchedule: (listener) => {
      scheduleListeners.add(listener);
      return () => scheduleListeners.delete(listener);
    },
    close: async () => {
      isClosed = true;
      await swap;
      await core.close();
    },
  };
}

function mustBeSettable(
  changes: readonly EnvChange[],
  own: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>>,
): void {
  const after = { ...env };
  for (const { name, value } of changes) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || name.length > nameLengthMax)
      throw new DeveloperError(
        `Environment variable name "${name}" is invalid: letters, digits and underscores, no digit first, ${nameLengthMax} characters at most.`,
      );
    if (Object.hasOwn(own, name))
      throw new DeveloperError(`Environment variable "${name}" is set by the program that runs this engine; change it there.`);
    if (value !== null && Buffer.byteLength(value) > valueBytesMax)
      throw new DeveloperError(`The value of environment variable "${name}" is over ${valueBytesMax} bytes.`);
    if (value === null) delete after[name];
    else after[name] = value;
  }
  if (Object.keys(after).length > variablesMax)
    throw new DeveloperError(`A deployment has ${variablesMax} environment variables at most.`);
}
