import { openAsBlob } from "node:fs";
import { NikaError } from "../../convex/model/error.ts";

/** Sends a file to the control plane's storage and returns its id there. It is read as it is sent, so no file is ever whole in memory. */
export async function uploadFile(uploadUrl: string, path: Buffer): Promise<string> {
  const body = await openAsBlob(path);
  const response = await fetch(uploadUrl, { method: "POST", headers: { "content-type": "application/octet-stream" }, body });
  const text = await response.text();
  if (response.ok) return (JSON.parse(text) as { storageId: string }).storageId;
  if (response.status === 507) throw new NikaError("full", "There is no room left on Nika's disk; free some and run this again.");
  throw new NikaError("unavailable", `Nika did not take a file (status ${response.status}); see its log.`, { cause: text });
}
