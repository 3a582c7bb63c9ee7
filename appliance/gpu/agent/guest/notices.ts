/** Vendors' word that they are about to take the machine back. */
import { setTimeout as delay } from "node:timers/promises";
import { call } from "./call.ts";
import { note } from "./note.ts";
import type { Setting } from "./setting.ts";

/** Asks the vendor's own address every 5 s; says once that the machine will be taken. What to plan for is less than what is promised. */
export async function notices({ notice, noticeUrl, folder }: Setting, taken: (inMs: number) => void): Promise<void> {
  const base = noticeUrl ?? (notice === "google" ? "http://metadata.google.internal" : "http://169.254.169.254");
  const get = async (path: string, headers: Record<string, string>, method = "GET"): Promise<string | undefined> => {
    const { status, body } = await call(`${base}${path}`, { method, headers, timeoutMs: 2_000 });
    return status === 200 ? body.toString("utf8") : undefined;
  };
  for (;;) {
    try {
      if (notice === "aws") {
        const token = await get("/latest/api/token", { "x-aws-ec2-metadata-token-ttl-seconds": "60" }, "PUT");
        const headers = { "x-aws-ec2-metadata-token": token ?? "" };
        if ((await get("/latest/meta-data/spot/instance-action", headers)) !== undefined) return taken(110_000);
      } else if (notice === "google") {
        const said = await get("/computeMetadata/v1/instance/preempted", { "Metadata-Flavor": "Google" });
        if (said?.trim() === "TRUE") return taken(25_000);
      } else {
        const said = await get("/metadata/scheduledevents?api-version=2020-07-01", { Metadata: "true" });
        if (said !== undefined && /"Preempt"/.test(said)) return taken(25_000);
      }
    } catch (error) {
      note(folder, `no notices: ${String(error)}`);
    }
    await delay(5_000);
  }
}
