/** What Azure is asked to make, as JSON. */
import { parsePriceTag, priceTag, type MachineIntent, type Observed } from "../../../convex/model/gpu.ts";
import { textOf } from "../record.ts";

export const labels = {
  install: "nika-install",
  machine: "nika-machine",
  deadline: "nika-deadline",
  hourly: "nika-hourly",
  since: "nika-since",
  spot: "nika-spot",
} as const;

/** `now`: Azure shows when a machine was made in some of its answers only. */
export const labelsOf = ({ installId, machineId, deadline, offer }: MachineIntent, now: number): Record<string, string> => ({
  [labels.install]: installId,
  [labels.machine]: machineId,
  [labels.deadline]: String(Math.ceil(deadline / 1_000)),
  [labels.hourly]: priceTag(offer.hourly),
  [labels.since]: String(Math.floor(now / 1_000)),
  ...(offer.isSpot ? { [labels.spot]: "yes" } : {}),
});

/** What an hour was offered for, as it stands on the thing. */
export function priceOf(tags: Readonly<Record<string, unknown>>): Pick<Observed, "hourly"> {
  const hourly = parsePriceTag(textOf(tags[labels.hourly]));
  return hourly ? { hourly } : {};
}

export const sshBody = {
  properties: {
    securityRules: [
      {
        name: "ssh",
        properties: {
          priority: 1_000,
          direction: "Inbound",
          access: "Allow",
          protocol: "Tcp",
          sourceAddressPrefix: "*",
          sourcePortRange: "*",
          destinationAddressPrefix: "*",
          destinationPortRange: "22",
        },
      },
    ],
  },
};

export const networkBody = (guard: string): object => ({
  properties: {
    addressSpace: { addressPrefixes: ["10.77.0.0/24"] },
    subnets: [{ name: "nika", properties: { addressPrefix: "10.77.0.0/24", networkSecurityGroup: { id: guard } } }],
  },
});

/** Microsoft's system with NVIDIA's driver, and Ubuntu's own. Neither asks for a purchase plan. */
const gpuImage = { publisher: "microsoft-dsvm", offer: "ubuntu-hpc", sku: "2204", version: "latest" };
const plainImage = { publisher: "Canonical", offer: "ubuntu-24_04-lts", sku: "server", version: "latest" };

export function machineBody(
  intent: MachineIntent,
  { subnet, hasIdentity, now }: { readonly subnet: string; readonly hasIdentity: boolean; readonly now: number },
) {
  const { name, offer, diskMb, publicKey, boot } = intent;
  return {
    location: offer.region,
    tags: labelsOf(intent, now),
    ...(hasIdentity ? { identity: { type: "SystemAssigned" } } : {}),
    properties: {
      hardwareProfile: { vmSize: offer.type },
      storageProfile: {
        imageReference: offer.gpu ? gpuImage : plainImage,
        osDisk: {
          createOption: "FromImage",
          deleteOption: "Delete",
          diskSizeGB: Math.max(offer.gpu ? 64 : 30, Math.ceil(diskMb / 1_073.741824)),
          managedDisk: { storageAccountType: "StandardSSD_LRS" },
        },
      },
      osProfile: {
        computerName: name,
        adminUsername: "nika",
        // What cloud-init reads.
        customData: Buffer.from(boot).toString("base64"),
        linuxConfiguration: {
          disablePasswordAuthentication: true,
          ssh: { publicKeys: [{ path: "/home/nika/.ssh/authorized_keys", keyData: publicKey }] },
        },
      },
      networkProfile: {
        networkApiVersion: "2020-11-01",
        networkInterfaceConfigurations: [
          {
            name: "nika",
            properties: {
              primary: true,
              deleteOption: "Delete",
              ipConfigurations: [
                {
                  name: "nika",
                  properties: {
                    primary: true,
                    subnet: { id: subnet },
                    publicIPAddressConfiguration: {
                      name: "nika",
                      sku: { name: "Standard", tier: "Regional" },
                      properties: { deleteOption: "Delete", publicIPAllocationMethod: "Static" },
                    },
                  },
                },
              ],
            },
          },
        ],
      },
      ...(offer.isSpot ? { priority: "Spot", evictionPolicy: "Delete", billingProfile: { maxPrice: -1 } } : {}),
    },
  };
}

const dayMs = 86_400_000;

/**
 * Azure's shutdown of every day, at the first minute after the deadline: it deallocates, which ends the bill but for the disk. Undefined
 * where the deadline is so far away that it would come too early.
 */
export function scheduleBody({
  intent,
  machine,
  now,
}: {
  readonly intent: MachineIntent;
  readonly machine: string;
  readonly now: number;
}): object | undefined {
  const at = Math.ceil(intent.deadline / 60_000) * 60_000;
  if (at - now >= dayMs - 600_000) return undefined;
  const time = new Date(at).toISOString().slice(11, 16).replace(":", "");
  return {
    tags: labelsOf(intent, now),
    properties: {
      status: "Enabled",
      taskType: "ComputeVmShutdownTask",
      dailyRecurrence: { time },
      timeZoneId: "UTC",
      targetResourceId: machine,
      notificationSettings: { status: "Disabled" },
    },
  };
}

/** One word of a command line, whatever is in it. */
const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);

/** A job that Azure ends at the time limit. Azure runs the command in the image and not the image's own entry point. */
export function jobBody(
  intent: MachineIntent,
  container: NonNullable<MachineIntent["container"]>,
  { environmentId, now }: { readonly environmentId: string; readonly now: number },
) {
  const seconds = Math.max(60, Math.floor((intent.deadline - now) / 1_000));
  return {
    properties: {
      jobType: "Command",
      displayName: intent.name,
      experimentName: "nika",
      command: container.args.map(quoted).join(" "),
      environmentId,
      environmentVariables: container.environment,
      limits: { jobLimitsType: "Command", timeout: `PT${seconds}S` },
      resources: { instanceType: intent.offer.type, instanceCount: 1 },
      queueSettings: { jobTier: intent.offer.isSpot ? "Spot" : "Standard" },
      tags: labelsOf(intent, now),
    },
  };
}
