/**
 * Takes secrets from standard input, one line of JSON before anything else, and becomes the program with them in its environment: so they stand in no
 * description of the container and in no argument. No byte beyond the line is read.
 */
import { accessSync, constants, readSync } from "node:fs";

const lineBytesMax = 1 << 20;

function readLine(): string {
  const bytes: number[] = [];
  const one = Buffer.alloc(1);
  const still = new Int32Array(new SharedArrayBuffer(4));
  while (bytes.length < lineBytesMax) {
    try {
      if (readSync(0, one) === 0 || one[0] === 0x0a) break;
      bytes.push(one[0] ?? 0);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      Atomics.wait(still, 0, 0, 5);
    }
  }
  return Buffer.from(bytes).toString("utf8");
}

const [name = "", ...rest] = process.argv.slice(2);
const program = name.includes("/") ? name : `/usr/local/bin/${name}`;
const secrets = JSON.parse(readLine()) as Record<string, string>;
try {
  accessSync(program, constants.X_OK);
} catch {
  process.stderr.write(`there is no program "${name}"\n`);
  process.exit(127);
}
process.execve?.(program, [name, ...rest], { ...process.env, ...secrets });
