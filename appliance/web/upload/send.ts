/** The bytes' way from the browser to the appliance. XMLHttpRequest, because fetch cannot tell how much has been sent. */

/** Stores `file` through a Convex upload URL and returns its storage id. */
export function sendFile(url: string, file: Blob, onSent: (sentBytes: number) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.setRequestHeader("Content-Type", file.type === "" ? "application/octet-stream" : file.type);
    request.responseType = "json";
    request.upload.addEventListener("progress", ({ loaded }) => onSent(loaded));
    request.addEventListener("error", () => reject(new TypeError("the connection broke")));
    request.addEventListener("abort", () => reject(new TypeError("the connection broke")));
    request.addEventListener("load", () => {
      const { storageId } = (request.response ?? {}) as { storageId?: string };
      if (request.status === 200 && storageId !== undefined) resolve(storageId);
      else reject(new Error(`upload answered ${request.status}`));
    });
    request.send(file);
  });
}

/** SHA-256 in hex. Undefined outside a secure origin, where browsers keep it from pages. */
export async function fingerprintOf(file: Blob): Promise<string | undefined> {
  const bytes = await file.arrayBuffer();
  // Typed as always there, and absent on a page that came over plain http from another machine.
  const subtle = (crypto as { subtle?: SubtleCrypto }).subtle;
  if (!subtle) return undefined;
  const digest = new Uint8Array(await subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
