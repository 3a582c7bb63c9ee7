/**
 * EC2's client, loaded with its first use (43 MB on disk, 0.5 to 0.8 s). It never asks twice by itself: it would ask thrice for
 * capacity that is not there, and who asks again knows the token.
 */
import type * as Ec2Sdk from "@aws-sdk/client-ec2";
import type { EC2Client, Instance, RunInstancesCommandInput } from "@aws-sdk/client-ec2";
import type { MachineIntent, Observed, Satellite } from "../../../convex/model/gpu.ts";
import { parseMachineName, parsePriceTag, priceTag } from "../../../convex/model/gpu.ts";
import { ProviderError } from "../../../functions/ports/gpu.ts";
import { failureOf } from "../http.ts";
import { fromSdk } from "./failures.ts";
import type { AwsKey } from "./json.ts";

export type Sdk = typeof Ec2Sdk;
export type Ec2 = {
  /** Fails with `ProviderError`, what was thrown as its cause. */
  ask<T>(
    region: string,
    request: (client: EC2Client, sdk: Sdk, options: SendOptions) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T>;
  /** For what must be told apart by code; whatever is thrown is the client's. */
  raw<T>(
    region: string,
    request: (client: EC2Client, sdk: Sdk, options: SendOptions) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T>;
};
type SendOptions = { readonly abortSignal: AbortSignal };

const callLimitMs = 60_000;

export const tagKeys = {
  install: "nika:install",
  machine: "nika:machine",
  deadline: "nika:deadline",
  hourly: "nika:hourly",
} as const;

export function openEc2({ key, url }: { readonly key: AwsKey; readonly url?: string }): Ec2 {
  const clients = new Map<string, EC2Client>();
  let loading: Promise<Sdk> | undefined;
  const raw: Ec2["raw"] = async (region, request, signal) => {
    const sdk = await (loading ??= import("@aws-sdk/client-ec2"));
    let client = clients.get(region);
    if (!client) {
      client = new sdk.EC2Client({
        region,
        credentials: key,
        maxAttempts: 1,
        ...(url === undefined ? {} : { endpoint: url }),
      });
      clients.set(region, client);
    }
    return await request(client, sdk, { abortSignal: AbortSignal.any([signal, AbortSignal.timeout(callLimitMs)]) });
  };
  return {
    raw,
    async ask(region, request, signal) {
      try {
        return await raw(region, request, signal);
      } catch (error) {
        throw new ProviderError(fromSdk(error, [key.secretAccessKey]).failure, { cause: error });
      }
    },
  };
}

/** All pages of a list, one after another. */
export async function* pages<T extends { NextToken?: string | undefined }>(
  page: (next: { NextToken?: string }) => Promise<T>,
): AsyncGenerator<T> {
  let next: string | undefined;
  do {
    const answer = await page(next === undefined ? {} : { NextToken: next });
    yield answer;
    next = answer.NextToken;
  } while (next !== undefined && next !== "");
}

export type Image = { readonly id: string; readonly rootDevice: string; readonly diskMb: number };

const nvidiaImages = {
  Owners: ["898082745236"],
  Filters: [{ Name: "name", Values: ["Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 22.04) *"] }],
};
const plainImages = {
  Owners: ["099720109477"],
  Filters: [{ Name: "name", Values: ["ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*"] }],
};

/** The newest system with NVIDIA's driver, or Ubuntu's newest of 24.04 where there is no GPU. Fails with `ProviderError`. */
export async function newestImage(ec2: Ec2, region: string, hasGpu: boolean, signal: AbortSignal): Promise<Image> {
  const asked = hasGpu ? nvidiaImages : plainImages;
  const { Images: found = [] } = await ec2.ask(
    region,
    (client, sdk, options) => client.send(new sdk.DescribeImagesCommand(asked), options),
    signal,
  );
  const [newest] = found
    .filter((one) => one.State === undefined || one.State === "available")
    .sort((a, b) => (b.CreationDate ?? "").localeCompare(a.CreationDate ?? ""));
  if (newest?.ImageId === undefined)
    throw new ProviderError(failureOf("missing", "region", `AWS shows no system image for such machines in ${region}`));
  const rootDevice = newest.RootDeviceName ?? "/dev/sda1";
  const root = newest.BlockDeviceMappings?.find((one) => one.DeviceName === rootDevice);
  return { id: newest.ImageId, rootDevice, diskMb: Math.ceil((root?.Ebs?.VolumeSize ?? 8) * 1073.741824) };
}

const groupName = "nika-ssh";

/** A group that lets SSH in: made once a region, free of charge, left there. */
export async function sshGroup(ec2: Ec2, region: string, signal: AbortSignal): Promise<string> {
  const find = async (): Promise<string | undefined> => {
    const { SecurityGroups: groups = [] } = await ec2.ask(
      region,
      (client, sdk, options) =>
        client.send(new sdk.DescribeSecurityGroupsCommand({ Filters: [{ Name: "group-name", Values: [groupName] }] }), options),
      signal,
    );
    return groups[0]?.GroupId;
  };
  const there = await find();
  if (there !== undefined) return there;
  try {
    const { GroupId: id } = await ec2.raw(
      region,
      (client, sdk, options) =>
        client.send(
          new sdk.CreateSecurityGroupCommand({ GroupName: groupName, Description: "SSH to machines that Nika rents" }),
          options,
        ),
      signal,
    );
    await ec2.raw(
      region,
      (client, sdk, options) =>
        client.send(
          new sdk.AuthorizeSecurityGroupIngressCommand({
            GroupId: id,
            IpPermissions: [{ IpProtocol: "tcp", FromPort: 22, ToPort: 22, IpRanges: [{ CidrIp: "0.0.0.0/0" }] }],
          }),
          options,
        ),
      signal,
    );
    if (id !== undefined) return id;
  } catch (error) {
    // Two machines were made at once; the other one's group is as good.
    if (!(error as Error).name.endsWith(".Duplicate")) throw new ProviderError(fromSdk(error, []).failure, { cause: error });
  }
  const made = await find();
  if (made === undefined)
    throw new ProviderError(failureOf("transient", "region", `AWS does not show the security group ${groupName} yet`));
  return made;
}

/** What one machine is asked for with. `ClientToken` makes asking again the same as asking once. */
export function runRequest(intent: MachineIntent, image: Image, group: string): RunInstancesCommandInput {
  const { offer } = intent;
  const tags = [
    { Key: "Name", Value: intent.name },
    { Key: tagKeys.install, Value: intent.installId },
    { Key: tagKeys.machine, Value: intent.machineId },
    { Key: tagKeys.deadline, Value: String(Math.ceil(intent.deadline / 1000)) },
    { Key: tagKeys.hourly, Value: priceTag(offer.hourly) },
  ];
  const tagged = [
    "instance",
    "volume",
    "network-interface",
    ...(offer.isSpot ? ["spot-instances-request" as const] : []),
  ] as const;
  return {
    MinCount: 1,
    MaxCount: 1,
    ClientToken: intent.token,
    ImageId: image.id,
    InstanceType: offer.type as never,
    ...(offer.zone === undefined ? {} : { Placement: { AvailabilityZone: offer.zone } }),
    SecurityGroupIds: [group],
    // What shuts down inside is ended, not kept at our cost.
    InstanceInitiatedShutdownBehavior: "terminate",
    ...(offer.isSpot
      ? {
          InstanceMarketOptions: {
            MarketType: "spot",
            SpotOptions: { SpotInstanceType: "one-time", InstanceInterruptionBehavior: "terminate" },
          },
        }
      : {}),
    TagSpecifications: tagged.map((kind) => ({ ResourceType: kind, Tags: tags })),
    MetadataOptions: { HttpTokens: "required", HttpPutResponseHopLimit: 1, HttpEndpoint: "enabled" },
    BlockDeviceMappings: [
      {
        DeviceName: image.rootDevice,
        Ebs: {
          VolumeSize: Math.ceil(Math.max(intent.diskMb, image.diskMb) / 1073.741824),
          VolumeType: "gp3",
          DeleteOnTermination: true,
        },
      },
    ],
    UserData: Buffer.from(withKey(intent.boot, intent.publicKey)).toString("base64"),
  };
}

/** Cloud-init reads several documents in one: the boot script as it is, and beside it who may sign in, unless the script says so itself. */
function withKey(boot: string, publicKey: string): string {
  if (publicKey === "" || boot.includes(publicKey.trim())) return boot;
  const edge = "nika-boot-parts";
  const type = boot.startsWith("#!") ? "text/x-shellscript" : "text/cloud-config";
  const keys = `#cloud-config\nmerge_how: "list(append)+dict(no_replace,recurse_list)+str()"\nssh_authorized_keys:\n  - ${JSON.stringify(publicKey.trim())}\n`;
  const part = (kind: string, text: string): string =>
    `--${edge}\nContent-Type: ${kind}; charset="utf-8"\nMIME-Version: 1.0\n\n${text}\n`;
  return `Content-Type: multipart/mixed; boundary="${edge}"\nMIME-Version: 1.0\n\n${part(type, boot)}${part("text/cloud-config", keys)}--${edge}--\n`;
}

const states: Readonly<Record<string, Observed["state"]>> = {
  pending: "booting",
  running: "running",
  stopping: "ending",
  "shutting-down": "ending",
  stopped: "stopped",
  terminated: "gone",
};

export type Identity = Pick<Observed, "name" | "installId" | "machineId" | "deadline" | "hourly">;

export function identityOf(tags: readonly { Key?: string | undefined; Value?: string | undefined }[] | undefined): Identity {
  const by = new Map((tags ?? []).map((one) => [one.Key ?? "", one.Value ?? ""]));
  const name = by.get("Name") ?? "";
  const parsed = parseMachineName(name);
  const installId = by.get(tagKeys.install) ?? parsed?.installId;
  const machineId = by.get(tagKeys.machine) ?? parsed?.machineId;
  const seconds = Number(by.get(tagKeys.deadline) ?? Number.NaN);
  const deadline = Number.isFinite(seconds) ? seconds * 1000 : parsed?.deadline;
  const hourly = parsePriceTag(by.get(tagKeys.hourly));
  return {
    name,
    ...(hourly && { hourly }),
    ...(installId === undefined ? {} : { installId }),
    ...(machineId === undefined ? {} : { machineId }),
    ...(deadline === undefined ? {} : { deadline }),
  };
}

export function observedInstance(instance: Instance, region: string, satellites: readonly Satellite[]): Observed {
  const state = states[instance.State?.Name ?? ""] ?? "running";
  const wentBy = reasonOf(instance.StateReason?.Code);
  const host = instance.PublicIpAddress;
  return {
    ref: { provider: "aws", region, id: instance.InstanceId ?? "" },
    ...identityOf(instance.Tags),
    state,
    ...(wentBy === undefined || state === "running" || state === "booting" ? {} : { wentBy }),
    // Disks of what is stopped or was left behind go on being billed.
    isBilled: state === "running" || state === "booting" || state === "stopped" || satellites.length > 0,
    ...(host === undefined || host === "" ? {} : { address: { host, sshPort: 22 } }),
    satellites: [...satellites],
    ...(instance.LaunchTime ? { createdAt: instance.LaunchTime.getTime() } : {}),
  };
}

/** Undefined where somebody with a key asked for it, which may have been us. */
function reasonOf(code: string | undefined): Observed["wentBy"] {
  if (code === undefined || code === "") return undefined;
  if (code.startsWith("Server.Spot")) return "preemption";
  if (code === "Client.InstanceInitiatedShutdown") return "itself";
  return code.startsWith("Server.") ? "vendor" : undefined;
}
