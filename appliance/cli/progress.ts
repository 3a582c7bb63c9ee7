/** How far something is: a moving bar for a person, a few plain lines for a log. */
import { countOf } from "./text.ts";
import type { Terminal } from "./terminal.ts";

export type Progress = {
  /** `total` when it has grown, `note` for what stands behind the numbers. */
  update(done: number, more?: { readonly total?: number; readonly note?: string }): void;
  stop(): void;
};

export type ProgressOptions = {
  readonly terminal: Terminal;
  readonly label: string;
  readonly total: number;
  /** What is counted: files, unless said. */
  readonly noun?: string;
  readonly isQuiet: boolean;
};

/** Always on stderr, so that stdout carries results only. `isQuiet` shows nothing, for --json. */
export async function openProgress({ terminal, label, total, noun = "file", isQuiet }: ProgressOptions): Promise<Progress> {
  if (isQuiet || total === 0) return { update() {}, stop() {} };
  return terminal.hasBar ? openBar(label, total) : openLines(terminal, { label, noun, total });
}

async function openBar(label: string, total: number): Promise<Progress> {
  const { default: library } = await import("cli-progress");
  const bar = new library.SingleBar({
    format: `  ${label.padEnd(12)} {bar} {value}/{total}{note}`,
    barCompleteChar: "━",
    barIncompleteChar: " ",
    barsize: 28,
    hideCursor: true,
    // Without this the bar keeps the process alive and swallows Ctrl-C.
    gracefulExit: false,
    linewrap: true,
  });
  bar.start(total, 0, { note: "" });
  return {
    update(done, { total: now, note } = {}) {
      if (now !== undefined) bar.setTotal(now);
      bar.update(Math.min(done, bar.getTotal()), note === undefined ? {} : { note: ` · ${note}` });
    },
    stop: () => bar.stop(),
  };
}

/** A line for each tenth, and always the last. */
function openLines(
  terminal: Terminal,
  { label, noun, total: atFirst }: { label: string; noun: string; total: number },
): Progress {
  let tenths = 0;
  let total = atFirst;
  return {
    update(done, { total: now, note } = {}) {
      total = Math.max(1, now ?? total);
      const reached = Math.floor((Math.min(done, total) * 10) / total);
      if (reached <= tenths) return;
      tenths = reached;
      terminal.note(
        `${label}: ${Math.min(done, total).toLocaleString("en-US")} of ${countOf(total, noun)}${note ? ` · ${note}` : ""}`,
      );
    },
    stop() {},
  };
}
