/** What the emulated Google Cloud lets, at prices of its own, and which fields Google's requests know. */

/** Of a machine and its scheduling, as in the protocol files of @google-cloud/compute 7.8.0 (read on 2026-11-21). */
export const instanceFields: ReadonlySet<string> = new Set([
  "advancedMachineFeatures",
  "canIpForward",
  "confidentialInstanceConfig",
  "cpuPlatform",
  "creationTimestamp",
  "deletionProtection",
  "description",
  "disks",
  "displayDevice",
  "fingerprint",
  "guestAccelerators",
  "hostname",
  "id",
  "instanceEncryptionKey",
  "keyRevocationActionType",
  "kind",
  "labelFingerprint",
  "labels",
  "lastStartTimestamp",
  "lastStopTimestamp",
  "lastSuspendedTimestamp",
  "localSsdEncryptionMode",
  "machineType",
  "metadata",
  "minCpuPlatform",
  "name",
  "networkInterfaces",
  "networkPerformanceConfig",
  "params",
  "privateIpv6GoogleAccess",
  "reservationAffinity",
  "resourcePolicies",
  "resourceStatus",
  "satisfiesPzi",
  "satisfiesPzs",
  "scheduling",
  "selfLink",
  "serviceAccounts",
  "shieldedInstanceConfig",
  "shieldedInstanceIntegrityPolicy",
  "sourceMachineImage",
  "sourceMachineImageEncryptionKey",
  "startRestricted",
  "status",
  "statusMessage",
  "tags",
  "workloadIdentityConfig",
  "zone",
]);
export const schedulingFields: ReadonlySet<string> = new Set([
  "automaticRestart",
  "availabilityDomain",
  "exposeHostTopology",
  "gracefulShutdown",
  "hostErrorTimeoutSeconds",
  "instanceTerminationAction",
  "localSsdRecoveryTimeout",
  "locationHint",
  "maxRunDuration",
  "minNodeCpus",
  "nodeAffinities",
  "onHostMaintenance",
  "onInstanceStopAction",
  "preemptible",
  "preemptionNoticeDuration",
  "provisioningModel",
  "skipGuestOsShutdown",
  "terminationTime",
]);

type Machine = {
  readonly name: string;
  readonly zone: string;
  readonly guestCpus: number;
  readonly memoryMb: number;
  readonly accelerators?: readonly { readonly guestAcceleratorType: string; readonly guestAcceleratorCount: number }[];
  readonly bundledLocalSsds?: object;
};

const zones = ["europe-west4-a", "europe-west4-b", "us-central1-a"];
const l4 = (count: number): Pick<Machine, "accelerators"> => ({
  accelerators: [{ guestAcceleratorType: "nvidia-l4", guestAcceleratorCount: count }],
});
export const machines: readonly Machine[] = zones.flatMap((zone) =>
  [
    { name: "g2-standard-8", guestCpus: 8, memoryMb: 32_768, ...l4(1) },
    { name: "g2-standard-24", guestCpus: 24, memoryMb: 98_304, ...l4(2) },
    {
      name: "a2-ultragpu-1g",
      guestCpus: 12,
      memoryMb: 174_080,
      accelerators: [{ guestAcceleratorType: "nvidia-a100-80gb", guestAcceleratorCount: 1 }],
      bundledLocalSsds: { defaultInterface: "NVME", partitionCount: 1 },
    },
    { name: "n1-standard-8", guestCpus: 8, memoryMb: 30_720 },
    { name: "e2-standard-4", guestCpus: 4, memoryMb: 16_384 },
  ].map((machine) => ({ ...machine, zone: `https://www.googleapis.com/compute/v1/projects/nika-exam/zones/${zone}` })),
);

const sku = (description: string, dollars: number, usageUnit: string, regions: readonly string[]): object => ({
  description,
  serviceRegions: regions,
  category: { resourceFamily: "Compute", usageType: description.startsWith("Spot") ? "Preemptible" : "OnDemand" },
  pricingInfo: [
    {
      pricingExpression: {
        usageUnit,
        tieredRates: [
          {
            startUsageAmount: 0,
            unitPrice: { currencyCode: "USD", units: String(Math.trunc(dollars)), nanos: Math.round((dollars % 1) * 1e9) },
          },
        ],
      },
    },
  ],
});
const places = [
  { name: "Netherlands", regions: ["europe-west4"] },
  { name: "Iowa", regions: ["us-central1"] },
];
const parts = (prefix: string, fraction: number): object[] =>
  places.flatMap(({ name, regions }) => [
    ...["G2 Instance", "N1 Predefined Instance", "E2 Instance"].flatMap((family) => [
      sku(`${prefix}${family} Core running in ${name}`, 0.03 * fraction, "h", regions),
      sku(`${prefix}${family} Ram running in ${name}`, 0.004 * fraction, "GiBy.h", regions),
    ]),
    ...["L4", "Tesla T4"].map((gpu) =>
      sku(
        prefix === ""
          ? `Nvidia ${gpu} GPU running in ${name}`
          : `Nvidia ${gpu} GPU attached to Spot Preemptible VMs running in ${name}`,
        (gpu === "L4" ? 0.6 : 0.4) * fraction,
        "h",
        regions,
      ),
    ),
    // What must not be taken for a machine: bought in advance, and by the month.
    sku(`Commitment v1: G2 Core in ${name} for 1 Year`, 0.01, "h", regions),
    sku(`Balanced PD Capacity in ${name}`, 0.1, "GiBy.mo", regions),
  ]);
const training = places.flatMap(({ name, regions }) => [
  sku(`Vertex AI: Training/Pipelines on G2 Instance Core running in ${name}`, 0.03, "h", regions),
  sku(`Vertex AI: Training/Pipelines on G2 Instance Ram running in ${name}`, 0.004, "GiBy.h", regions),
  sku(`Vertex AI: Training/Pipelines Management fee on G2 Instance Core in ${name}`, 0.005, "h", regions),
  sku(`Vertex AI: Training/Pipelines Management fee on G2 Instance RAM in ${name}`, 0.0005, "GiBy.h", regions),
  sku(`Vertex AI: Training/Pipelines on Nvidia L4 GPU running in ${name}`, 0.6, "h", regions),
  sku(`Vertex AI: Training/Pipelines Management fee on Nvidia L4 GPU in ${name}`, 0.08, "h", regions),
]);

/** By service, page by page. */
export const skuPages: Readonly<Record<string, readonly (readonly object[])[]>> = {
  "6F81-5844-456A": [parts("", 1), parts("Spot Preemptible ", 0.4)],
  "C7E2-9256-1C43": [training],
};
