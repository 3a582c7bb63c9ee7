/** How far something is: a moving bar for a person, a few plain lines for a log. */
import { countOf } from "./text.ts";
import type { Terminal } from "./terminal.ts";

export type Progress = { update(done: number): void; stop(): void };

export type ProgressOptions = {
  readonly terminal: Terminal;
  readonly label: string;
  readonly total: number;
  readonly isQuiet: boolean;
};

/** Always on stderr, so that stdout carries results only. `isQuiet` shows nothing, for --json. */
export async function openProgress({ terminal, label, total, isQuiet }: ProgressOptions): Promise<Progress> {
  if (isQuiet || total === 0) return { update() {}, stop() {} };
  return terminal.hasBar ? openBar(label, total) : openLines(terminal, label, total);
}

async function openBar(label: string, total: number): Promise<Progress> {
  const { default: library } = await import("cli-progress");
  const bar = new library.SingleBar({
    format: `  ${label.padEnd(12)} {bar} {value}/{total}`,
    barCompleteChar: "━",
    barIncompleteChar: " ",
    barsize: 28,
    hideCursor: true,
    // Without this the bar keeps the process alive and swallows Ctrl-C.
    gracefulExit: false,
    linewrap: true,
  });
  bar.start(total, 0);
  return { update: (done) => bar.update(Math.min(done, total)), stop: () => bar.stop() };
}

/** A line for each tenth, and always the last. */
function openLines(terminal: Terminal, label: string, total: number): Progress {
  let tenths = 0;
  return {
    update(done) {
      const reached = Math.floor((Math.min(done, total) * 10) / total);
      if (reached <= tenths) return;
      tenths = reached;
      terminal.note(`${label}: ${Math.min(done, total).toLocaleString("en-US")} of ${countOf(total, "file")}`);
    },
    stop() {},
  };
}
