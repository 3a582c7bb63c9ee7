/** Where a command writes. Plain lines when piped: no colours, no bars, no wrapping. */
import { styleText } from "node:util";

type Style = "bold" | "dim" | "green" | "yellow" | "red" | "cyan" | "black" | "bgWhiteBright";

export type Terminal = {
  /** Whether a person looks at stdout right now. */
  readonly isInteractive: boolean;
  /** Whether a moving progress bar may be drawn (on stderr, so that stdout stays clean). */
  readonly hasBar: boolean;
  readonly hasColor: boolean;
  /** Columns; Infinity when piped, so that nothing is cut or broken for the next program. */
  readonly width: number;
  line(text?: string): void;
  /** To stderr: progress and problems. */
  note(text: string): void;
  /** The one JSON document of a `--json` command. */
  json(value: unknown): void;
  style(style: Style | Style[], text: string): string;
};

export type Streams = { readonly stdout: NodeJS.WriteStream; readonly stderr: NodeJS.WriteStream };

/** `color: false` is --no-color. NO_COLOR, NODE_DISABLE_COLORS, FORCE_COLOR and TERM=dumb are honoured by Node's own detection. */
export function openTerminal({ stdout, stderr }: Streams, options: { color: boolean }): Terminal {
  const isInteractive = stdout.isTTY;
  const hasColor = options.color && isInteractive && stdout.hasColors();
  return {
    isInteractive,
    hasBar: stderr.isTTY,
    hasColor,
    width: isInteractive ? Math.max(20, stdout.columns || 80) : Number.POSITIVE_INFINITY,
    line: (text = "") => void stdout.write(`${text}\n`),
    note: (text) => void stderr.write(`${text}\n`),
    json: (value) => void stdout.write(`${JSON.stringify(value, undefined, isInteractive ? 2 : undefined)}\n`),
    style: (style, text) => (hasColor ? styleText(style, text, { validateStream: false }) : text),
  };
}
