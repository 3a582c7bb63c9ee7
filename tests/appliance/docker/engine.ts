/** The real Docker Engine, where there is one, and a stand-in for Qdrant's image, built from this machine's files: no registry is needed. */
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** Why these tests cannot run here; undefined when they can. */
export function missingEngine(): string | undefined {
  const { status } = spawnSync("docker", ["info", "--format", "{{.ServerVersion}}"], { stdio: "ignore", timeout: 10_000 });
  return status === 0 ? undefined : "no Docker engine answers on this machine";
}

/**
 * An image named `tag` that answers as Qdrant does: Node, its libraries and the embedded store. It is simulated, and says so in its label.
 * `program` replaces what it runs.
 */
export function standIn(tag: string, program = server): void {
  const root = mkdtempSync(join(tmpdir(), "nika-image-"));
  try {
    const put = (from: string, to: string): void => {
      mkdirSync(join(root, dirname(to)), { recursive: true });
      cpSync(from, join(root, to), { recursive: true, dereference: true });
    };
    put(process.execPath, "node");
    for (const library of librariesOf(process.execPath)) put(library, library);
    for (const part of ["appliance/vectors", "convex/model/error.ts", "node_modules/@fastify/busboy", "package.json"])
      put(part, `nika/${part}`);
    writeFileSync(join(root, "nika/server.ts"), program);
    for (const dir of ["tmp", "qdrant/storage"]) mkdirSync(join(root, dir), { recursive: true });
    const changes = [
      'ENTRYPOINT ["/node", "--disable-warning=ExperimentalWarning", "/nika/server.ts"]',
      "LABEL nika.simulated=qdrant",
      "EXPOSE 6333",
    ];
    const archive = execFileSync("tar", ["-C", root, "-c", "."], { maxBuffer: 1024 ** 3 });
    execFileSync("docker", ["import", ...changes.flatMap((change) => ["--change", change]), "-", tag], {
      input: archive,
      stdio: ["pipe", "ignore", "inherit"],
    });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

const server = `
import { Store } from "/nika/appliance/vectors/store.ts";
import { serve } from "/nika/appliance/vectors/server.ts";
const store = new Store("/qdrant/storage");
serve({ store, apiKey: process.env.QDRANT__SERVICE__API_KEY, log: console.error }).listen(6333, "0.0.0.0", () => console.log("listening"));
process.on("SIGTERM", () => { store.close(); process.exit(0); });
`;

/** What the dynamic linker would load, itself included. */
function librariesOf(program: string): string[] {
  const lines = execFileSync("ldd", [program], { encoding: "utf8" }).split("\n");
  return lines.map((line) => /(\/\S+) \(0x/.exec(line)?.[1]).filter((path) => path !== undefined);
}

export function removeImage(tag: string): void {
  spawnSync("docker", ["image", "rm", "--force", tag], { stdio: "ignore" });
}
