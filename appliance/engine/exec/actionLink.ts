/** The way from an action to the main thread, whether it runs in a thread or in a process of its own. */
/* oxlint-disable unicorn/require-post-message-target-origin -- that rule is about windows; these are threads */
import { parentPort, Worker, workerData } from "node:worker_threads";
import type { ActionSetup, FromAction, ToAction } from "./actionMessage.ts";

export type ActionLink = {
  readonly setup: ActionSetup;
  say(message: FromAction, transfer?: ReadableStream[]): void;
  onMessage(listener: (message: ToAction) => void): void;
};

/** A process is told what it is to run by its first message: its command line can be read by others. */
export type Opening = { readonly setup: ActionSetup; readonly env: Readonly<Record<string, string>> };

export async function openActionLink(): Promise<ActionLink> {
  return parentPort ? threadLink(parentPort) : processLink();
}

function threadLink(port: NonNullable<typeof parentPort>): ActionLink {
  // Its process is everybody's.
  process.kill = () => {
    throw new Error('process.kill() can only be called in "use node" modules.');
  };
  return {
    setup: workerData as ActionSetup,
    say: (message, transfer = []) => port.postMessage(message, transfer),
    onMessage: (listener) => void port.on("message", listener),
  };
}

async function processLink(): Promise<ActionLink> {
  // Kept from the app's code, for which there is nobody at the other end.
  const send = process.send?.bind(process);
  if (!send) throw new Error("This file is a worker.");
  process.send = undefined as never;
  process.on("disconnect", () => process.exit());
  endWithParent();
  const early: ToAction[] = [];
  const keep = (message: unknown): void => void early.push(message as ToAction);
  let hear = keep;
  process.on("message", (message) => hear(message));
  const { setup, env } = await new Promise<Opening>((resolve) => {
    hear = (message) => {
      hear = keep;
      resolve(message as Opening);
    };
  });
  // Written for the app's code, never read here; and only now, so that no variable of the deployment's is one for Node or for the system's
  // loader.
  const { env: variables } = process;
  Object.assign(variables, env);
  return {
    setup,
    say: (message) => void send(message),
    onMessage: (listener) => {
      for (const message of early.splice(0)) listener(message);
      hear = (message) => listener(message as ToAction);
    },
  };
}

/** An action that never lets go would not hear that the appliance is gone, so a thread of its own looks. */
function endWithParent(): void {
  const code = `const parent = ${process.ppid}; setInterval(() => process.ppid === parent || process.kill(process.pid, "SIGKILL"), 1000);`;
  const watch = new Worker(code, {
    eval: true,
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 1 },
  });
  watch.on("error", () => undefined);
  watch.unref();
}
