/**
 * `npm run dev`: the appliance on data of its own (./.dev, ignored by git), started anew when its code changes, and the page rebuilt when
 * its source changes. Arguments go to the appliance: `npm run dev -- --port 7000`.
 */
import { spawn } from "node:child_process";

const children = [
  spawn("vite", ["build", "--watch", "appliance/web"], { stdio: "inherit" }),
  spawn(process.execPath, ["--watch", "appliance/main.ts", "--data", ".dev", ...process.argv.slice(2)], { stdio: "inherit" }),
];
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => children.forEach((child) => child.kill(signal)));
for (const child of children) child.once("exit", () => children.forEach((other) => other.kill()));
