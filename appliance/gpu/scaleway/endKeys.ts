/**
 * Keys by which a machine can have itself ended. They are of an IAM application that the owner made and gave no more than servers of the
 * one project; each bears its machine's name and runs out by itself.
 */
import { paged } from "./pages.ts";
import type { Scaleway } from "./sdk.ts";
import type { Keys } from "./servers.ts";

/** The machine's own watchdog may be late by this. */
const graceMs = 10 * 60_000;

export async function makeEndKey(
  { iam, projectId }: Scaleway,
  applicationId: string,
  { name, deadline }: { readonly name: string; readonly deadline: number },
): Promise<string | undefined> {
  const { secretKey } = await iam.createAPIKey({
    applicationId,
    description: name,
    expiresAt: new Date(deadline + graceMs),
    defaultProjectId: projectId,
  });
  return secretKey;
}

export function endKeys({ iam }: Scaleway, applicationId: string): Keys {
  return {
    async of(name) {
      const all = await paged(async (page) => {
        const { apiKeys: entries, totalCount } = await iam.listAPIKeys({
          bearerId: applicationId,
          description: name,
          page,
          pageSize: 100,
        });
        return { entries, totalCount };
      });
      return all.filter(({ description }) => description === name).map(({ accessKey }) => accessKey);
    },
    remove: async (accessKey) => await iam.deleteAPIKey({ accessKey }),
  };
}
