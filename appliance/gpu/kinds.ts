/** What each vendor is reached with, in the vendor's own names of it, and how its client is made of that. Each is loaded when it is first used. */
import type { Provider } from "../../functions/ports/gpu.ts";
import type { ProviderKinds } from "./providers.ts";

const listOf = (text: string): string[] => text.split(/[\s,]+/).filter((one) => one !== "");
/** Only what was given. */
const given = <K extends string>(
  credentials: Readonly<Record<string, string>>,
  ...names: readonly K[]
): Partial<Record<K, string>> =>
  Object.fromEntries(names.flatMap((name) => (credentials[name] ? [[name, credentials[name]]] : []))) as Partial<
    Record<K, string>
  >;

export const kinds: ProviderKinds = {
  runpod: {
    wants: ["apiKey", "serverless?"],
    async open({ credentials: { apiKey = "", serverless }, now }): Promise<Provider> {
      const { runpod } = await import("./runpod/runpod.ts");
      return runpod({ credentials: async () => ({ apiKey }), now, hasServerless: serverless === "yes" });
    },
  },
  aws: {
    wants: ["accessKeyId", "secretAccessKey", "sessionToken?", "regions", "trainingRole?", "trainingOutputs?", "costExplorer?"],
    async open({ credentials, now }) {
      const { openAws } = await import("./aws/aws.ts");
      const { accessKeyId = "", secretAccessKey = "", regions = "", trainingRole, trainingOutputs, costExplorer } = credentials;
      const key = { accessKeyId, secretAccessKey, ...given(credentials, "sessionToken") };
      const training = trainingRole && trainingOutputs && { roleArn: trainingRole, outputs: trainingOutputs };
      const hasCostExplorer = costExplorer === "yes";
      return openAws({ ...key, regions: listOf(regions), ...(training && { training }), hasCostExplorer, now });
    },
  },
  google: {
    wants: ["serviceAccount", "project?", "regions", "machineAccount?", "training?", "trainingAccount?", "billingTable?"],
    async open({ credentials, now }) {
      const { openGoogle } = await import("./google/google.ts");
      const { serviceAccount = "", regions = "", training, trainingAccount: account } = credentials;
      const key = { serviceAccount, ...given(credentials, "project", "machineAccount", "billingTable") };
      const jobs = training === "yes" && { training: account ? { account } : {} };
      return openGoogle({ ...key, regions: listOf(regions), ...jobs, now });
    },
  },
  azure: {
    wants: ["tenant", "client", "secret", "subscription", "regions", "selfDeleteRole?", "workspace?"],
    async open({ credentials, now }) {
      const { openAzure } = await import("./azure/azure.ts");
      const { tenant = "", client = "", secret = "", subscription = "", regions = "" } = credentials;
      const key = { tenant, client, secret, subscription };
      // GROUP/NAME/REGION.
      const [group, workspace, region] = (credentials.workspace ?? "").split("/");
      const training = group && workspace && region && { training: { group, workspace, region } };
      return openAzure({ ...key, ...given(credentials, "selfDeleteRole"), regions: listOf(regions), ...training, now });
    },
  },
  scaleway: {
    wants: ["accessKey", "secretKey", "projectId", "zones?", "endApplicationId?"],
    async open({ credentials, now }) {
      const { scaleway } = await import("./scaleway/scaleway.ts");
      const { accessKey = "", secretKey = "", projectId = "", zones } = credentials;
      return scaleway({
        credentials: async () => ({ accessKey, secretKey, projectId }),
        now,
        ...(zones && { zones: listOf(zones) }),
        ...given(credentials, "endApplicationId"),
      });
    },
  },
  contabo: {
    wants: ["clientId", "clientSecret", "user", "password", "region?", "plans?"],
    async open({ credentials, installId, now }) {
      const [{ contabo }, { parsePlans }] = await Promise.all([import("./contabo/contabo.ts"), import("./contabo/plans.ts")]);
      const { clientId = "", clientSecret = "", user = "", password = "" } = credentials;
      return contabo({
        credentials: async () => ({ clientId, clientSecret, user, password }),
        installId,
        now,
        ...given(credentials, "region"),
        plans: parsePlans(credentials.plans ?? ""),
      });
    },
  },
};
