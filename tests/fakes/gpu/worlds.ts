/** Every emulated provider as the lease engine meets it, by name. Opened once the clock is the drill's. */
import { openAws } from "../../../appliance/gpu/aws/aws.ts";
import { openAzure } from "../../../appliance/gpu/azure/azure.ts";
import { contabo } from "../../../appliance/gpu/contabo/contabo.ts";
import { openGoogle } from "../../../appliance/gpu/google/google.ts";
import { runpod } from "../../../appliance/gpu/runpod/runpod.ts";
import { scaleway } from "../../../appliance/gpu/scaleway/scaleway.ts";
import type { Form } from "../../../convex/model/gpu.ts";
import type { Provider } from "../../../functions/ports/gpu.ts";
import { openAwsEmulator } from "./aws.ts";
import { openAzureEmulator } from "./azure.ts";
import { openFakeContabo } from "./contabo.ts";
import { installId, type World } from "./fleet.ts";
import { openGoogleEmulator } from "./google.ts";
import { openPlain, type PlainOptions } from "./plain.ts";
import { openFakeRunpod } from "./runpod.ts";
import { openFakeScaleway, zones } from "./scaleway.ts";

type OpenWorld = () => Promise<World>;

const now = (): number => Date.now();
const need = { gpu: { count: 1, memoryMb: 20_000 } };

const plain =
  (name: string, options: Omit<PlainOptions, "now">): OpenWorld =>
  async () => {
    const { provider, cloud } = openPlain({ ...options, now });
    return { name, provider, need, shows: "priceNow", lying: cloud.lying };
  };
const ofForm = (provider: Provider, form: Form): Provider => ({
  ...provider,
  offers: async (asked, signal) => (await provider.offers(asked, signal)).filter((offer) => offer.form === form),
});

const aws =
  (form: Form): OpenWorld =>
  async () => {
    const { key, url, lying, close } = await openAwsEmulator({ now });
    const training = { roleArn: "arn:aws:iam::111122223333:role/nika-training", outputs: "s3://nika-outputs/jobs" };
    const provider = openAws({ ...key, regions: ["eu-west-3"], training, hasCostExplorer: true, now, url });
    // SageMaker's lists tell no tags.
    const shows = form === "machine" ? { shows: "priceOffered" as const } : {};
    return { name: "aws", provider: ofForm(provider, form), isManaged: form === "managed", need, ...shows, lying, close };
  };
const google =
  (form: Form): OpenWorld =>
  async () => {
    const { serviceAccount, url, lying, close } = await openGoogleEmulator({ now });
    const provider = openGoogle({
      serviceAccount,
      machineAccount: "nika-end@nika.iam.gserviceaccount.com",
      regions: ["europe-west4"],
      training: {},
      billingTable: "nika.billing.gcp_billing_export_v1_0",
      now,
      url,
    });
    return {
      name: "google",
      provider: ofForm(provider, form),
      isManaged: form === "managed",
      need,
      shows: "priceOffered",
      lying,
      close,
    };
  };
const azure =
  (form: Form): OpenWorld =>
  async () => {
    const { key, url, lying, close } = await openAzureEmulator({ now });
    const sleep = (): Promise<void> => Promise.resolve();
    const selfDeleteRole = `/subscriptions/${key.subscription}/providers/Microsoft.Authorization/roleDefinitions/nika-end`;
    const training = { group: "learning", workspace: "nika", region: "westeurope" };
    const provider = openAzure({ ...key, regions: ["westeurope"], training, selfDeleteRole, now, sleep, url });
    const t4 = { gpu: { count: 1, memoryMb: 10_000 } };
    return {
      name: "azure",
      provider: ofForm(provider, form),
      isManaged: form === "managed",
      need: t4,
      shows: "priceOffered",
      lying,
      close,
    };
  };

export const worlds: Readonly<Record<string, OpenWorld>> = {
  /** No token, lists that lag, no timer. */
  plain: plain("plain", { createIs: "notOnce", listLagMs: 20_000 }),
  /** Keeps tokens, and has a timer. */
  token: plain("token", { createIs: "onceByToken", hasTtl: true }),
  aws: aws("machine"),
  google: google("machine"),
  async runpod() {
    const { apiKey, url, lying, close } = await openFakeRunpod({ now });
    const provider = runpod({ credentials: async () => ({ apiKey }), now, url, runUrl: url, hasServerless: false });
    return { name: "runpod", provider, need, shows: "priceNow", lying, close };
  },
  async scaleway() {
    const { credentials, url, lying, close } = await openFakeScaleway({ now });
    const provider = scaleway({ credentials: async () => credentials, now, url, zones });
    return { name: "scaleway", provider, need, shows: "priceOffered", lying, close };
  },
  azure: azure("machine"),
  async contabo() {
    const { credentials, url, tokenUrl, lying, close } = await openFakeContabo({ now });
    const plan = { productId: "V94", cpus: 6, memoryMb: 12_000, diskMb: 100_000 };
    // Not Contabo's price.
    const plans = [{ ...plan, monthlyMicros: 7_200_000, currency: "EUR", readOn: "2026-11-21" }] as const;
    const provider = contabo({ credentials: async () => credentials, now, url, tokenUrl, plans, installId });
    return { name: "contabo", provider, need: { cpus: 4, memoryMb: 12_000 }, lying, isPaidByMonth: true, close };
  },
  /** What the same vendors run under a time limit of their own. */
  awsManaged: aws("managed"),
  googleManaged: google("managed"),
  azureManaged: azure("managed"),
};
