/** Starts the program when the way out is open, by becoming it: no process stays between the program and its pipes. */
import { accessSync, constants } from "node:fs";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const port = 3128;
const patienceMs = 30_000;

const isOpen = (): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });

/** The program's place: where all of the image's are, unless it is given whole. */
function find(name: string): string | undefined {
  const place = name.includes("/") ? name : `/usr/local/bin/${name}`;
  try {
    accessSync(place, constants.X_OK);
    return place;
  } catch {
    return undefined;
  }
}

const [name = "", ...rest] = process.argv.slice(2);
const program = find(name);
for (const start = Date.now(); !(await isOpen());) {
  if (Date.now() - start > patienceMs) break;
  await sleep(5);
}
if (program !== undefined) process.execve?.(program, [name, ...rest]);
process.stderr.write(`there is no program "${name}"\n`);
process.exit(127);
