/** How the installer ends when it cannot go on: one sentence and an exit code of its own. */

/** Numbers follow BSD's sysexits where one fits; nika-install.sh lists them under --help. */
export const exitCodes = { checksum: 65, network: 69, step: 70, disk: 73, undone: 80 } as const;

export class InstallFailure extends Error {
  override readonly name = "InstallFailure";
  readonly exitCode: number;

  constructor(kind: keyof typeof exitCodes, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCodes[kind];
  }
}

/** Whatever was thrown, as a failure with a sentence for the person. */
export function toFailure(thrown: unknown): InstallFailure {
  if (thrown instanceof InstallFailure) return thrown;
  const { code, path, message } = thrown as NodeJS.ErrnoException;
  const cause = { cause: thrown };
  if (code === "ENOSPC" || code === "EDQUOT") return new InstallFailure("disk", "the disk is full.", cause);
  if (code === "EACCES" || code === "EPERM" || code === "EROFS")
    return new InstallFailure("disk", `${path ?? "a file"} may not be written.`, cause);
  return new InstallFailure("step", `something unexpected happened: ${message}.`, cause);
}
