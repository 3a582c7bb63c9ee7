/** The peers, in a Python of their own outside of the repository: made on first use, kept for the next. */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export type PeerReading = { readonly path: string; readonly text: string; readonly ms: number; readonly problem: string | null };

const packages = ["markitdown[docx,xlsx,xls,pptx,pdf]==0.1.8", "pypdf==7.1.0", "pdfminer.six==20260107"];

/** The Python that has the peers, or why there is none. */
export function openPeers(): { python: string } | { missing: string } {
  const dir = join(tmpdir(), "nika-bench-parse");
  const python = join(dir, "bin", "python");
  try {
    if (!existsSync(join(dir, "ready"))) {
      console.error("making a Python with the peers, once");
      // What an earlier try left half-done is no ground to build on.
      rmSync(dir, { recursive: true, force: true });
      execFileSync("python3", ["-m", "venv", dir]);
      execFileSync(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", ...packages], {
        stdio: ["ignore", "ignore", "pipe"],
      });
      execFileSync(python, ["-c", `open(${JSON.stringify(join(dir, "ready"))}, "w").close()`]);
    }
    return { python };
  } catch (error) {
    return { missing: error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error) };
  }
}

export async function readWith(
  python: string,
  { peer, runs, paths }: { peer: "markitdown" | "pypdf" | "pdfminer"; runs: number; paths: readonly string[] },
): Promise<PeerReading[]> {
  const script = fileURLToPath(new URL("peer.py", import.meta.url));
  const child = spawn(python, ["-W", "ignore", script, peer, String(runs), ...paths], { stdio: ["ignore", "pipe", "ignore"] });
  const readings: PeerReading[] = [];
  for await (const line of createInterface({ input: child.stdout })) readings.push(JSON.parse(line) as PeerReading);
  return readings;
}
