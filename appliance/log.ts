/** Lines for the operator: when, what. Secrets never pass here; the parts that hold them do not log. */
export type Log = (line: string) => void;

/** Writes to stderr, which `nika up` sends to DATA/log/nika.log when it runs in the background. */
export function stderrLog(): Log {
  return (line) => process.stderr.write(`${new Date().toISOString()} ${line}\n`);
}
