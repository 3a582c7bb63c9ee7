/** What is being done: a line that is rewritten on a terminal, and one plain line per step anywhere else. */

export type ProgressLine = Disposable & {
  /** A new step. */
  show(text: string): void;
  /** The same step, further on. Only a terminal shows it. */
  update(text: string): void;
};

export function progressLine(out: NodeJS.WriteStream = process.stdout): ProgressLine {
  let isOpen = false;
  const draw = (text: string) => out.write(`\r${text.slice(0, (out.columns ?? 80) - 1)}\u001B[K`);
  const end = () => {
    if (isOpen) out.write("\n");
    isOpen = false;
  };
  return {
    show(text) {
      end();
      if (!out.isTTY) return void out.write(`${text}\n`);
      draw(text);
      isOpen = true;
    },
    update(text) {
      if (out.isTTY) draw(text);
    },
    [Symbol.dispose]: end,
  };
}
