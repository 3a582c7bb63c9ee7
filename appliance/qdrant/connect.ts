import type { QdrantClient } from "@qdrant/js-client-rest";

const timeoutMs = 30_000;

/** The client is loaded when first needed: an appliance that only starts does not pay for it. */
export async function connect({ url, apiKey }: { readonly url: string; readonly apiKey?: string }): Promise<QdrantClient> {
  const { QdrantClient } = await import("@qdrant/js-client-rest");
  return new QdrantClient({
    url,
    // As a header, because the client prints a warning for every key it sends over plain http, loopback or not.
    ...(apiKey !== undefined && { headers: { "api-key": apiKey } }),
    timeout: timeoutMs,
    checkCompatibility: false,
  });
}
