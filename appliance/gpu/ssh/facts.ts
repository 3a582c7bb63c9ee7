/** What a machine of the owner's is, as its own programs tell. */
import { NikaError } from "../../../convex/model/error.ts";
import { toGpus, shortName } from "../local/gpus.ts";
import type { Host } from "./hosts.ts";
import type { Session } from "./session.ts";

export type Facts = Pick<Host, "cpus" | "memoryMb" | "diskMb" | "gpu"> & { readonly says: string };

const asking = `nproc; sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo; df -Pk "$HOME" | awk 'NR==2{print $4}'; uname -m; echo --
nvidia-smi --query-gpu=name,uuid,memory.total,driver_version,compute_cap --format=csv,noheader,nounits 2>/dev/null; true`;
const kb = 1024 / 1e6;

/** Fails with `invalid` when it is no Linux of this machine's make, whose programs the agent brings along. */
export async function availableFrom(session: Session): Promise<Facts> {
  const { output } = await session.exec(asking);
  const [plain = "", cards = ""] = output.split(/^--$/m);
  const [cpus, memory, disk, make = ""] = plain.trim().split("\n");
  const wanted = process.arch === "x64" ? "x86_64" : process.arch === "arm64" ? "aarch64" : process.arch;
  if (make.trim() !== wanted)
    throw new NikaError("invalid", `It has to be Linux on ${wanted}, as here; it says "${make.trim()}".`);
  const gpus = toGpus(cards);
  const [first] = gpus;
  const memoryMb = Math.round(Number(memory) * kb);
  const gpu = first && { name: shortName(first), count: gpus.length, memoryMb: Math.min(...gpus.map((one) => one.memoryMb)) };
  return {
    cpus: Number(cpus),
    memoryMb,
    diskMb: Math.round(Number(disk) * kb),
    ...(gpu && { gpu }),
    says: [
      `${cpus} processors`,
      `${Math.round(memoryMb / 1000)} GB of memory`,
      ...gpus.map((one) => `${one.name}, driver ${one.driver}`),
    ].join(", "),
  };
}
