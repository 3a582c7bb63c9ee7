/** What the emulated Azure lets, at prices of its own, and which properties Azure's machines know. */

/** As `VirtualMachineProperties` of @azure/arm-compute 25.1.1 has them (read on 2026-11-21). */
export const machineFields: ReadonlySet<string> = new Set([
  "additionalCapabilities",
  "applicationProfile",
  "availabilitySet",
  "billingProfile",
  "capacityReservation",
  "diagnosticsProfile",
  "evictionPolicy",
  "extensionsTimeBudget",
  "hardwareProfile",
  "host",
  "hostGroup",
  "instanceView",
  "interconnectBlockProfile",
  "licenseType",
  "networkProfile",
  "osProfile",
  "platformFaultDomain",
  "priority",
  "provisioningState",
  "proximityPlacementGroup",
  "resiliencyProfile",
  "scheduledEventsPolicy",
  "scheduledEventsProfile",
  "securityProfile",
  "storageProfile",
  "timeCreated",
  "userData",
  "virtualMachineScaleSet",
  "vmId",
]);

type Kind = {
  readonly name: string;
  readonly cpus: number;
  readonly gib: number;
  readonly gpus: number;
  readonly hourly: number;
};
const kinds: readonly Kind[] = [
  { name: "Standard_NC4as_T4_v3", cpus: 4, gib: 28, gpus: 1, hourly: 0.6 },
  { name: "Standard_NC64as_T4_v3", cpus: 64, gib: 440, gpus: 4, hourly: 5 },
  { name: "Standard_NC24ads_A100_v4", cpus: 24, gib: 220, gpus: 1, hourly: 4 },
  // Part of a GPU, which counts as none.
  { name: "Standard_NV6ads_A10_v5", cpus: 6, gib: 55, gpus: 1, hourly: 0.5 },
  { name: "Standard_D4s_v5", cpus: 4, gib: 16, gpus: 0, hourly: 0.2 },
];

/** Azure bars kinds from subscriptions; here the A100. */
export const skus = (location: string): object[] =>
  kinds.map(({ name, cpus, gib, gpus }) => ({
    resourceType: "virtualMachines",
    name,
    locations: [location],
    capabilities: [
      { name: "vCPUs", value: String(cpus) },
      { name: "MemoryGB", value: String(gib) },
      { name: "LowPriorityCapable", value: "True" },
      ...(gpus > 0 ? [{ name: "GPUs", value: String(gpus) }] : []),
    ],
    restrictions: name.includes("A100")
      ? [{ type: "Location", values: [location], reasonCode: "NotAvailableForSubscription" }]
      : [],
  }));

export type Retail = {
  readonly armSkuName: string;
  readonly armRegionName: string;
  readonly productName: string;
  readonly skuName: string;
  readonly meterName: string;
  readonly retailPrice: number;
  readonly unitOfMeasure: string;
  readonly currencyCode: string;
  readonly type: string;
};

/** As the list has it: one name for Linux, Windows, spot and low priority. */
export const retail = (region: string): Retail[] =>
  kinds.flatMap(({ name, hourly }) => {
    const plain = name.replace("Standard_", "").replaceAll("_", " ");
    const item = (product: string, suffix: string, price: number): Retail => ({
      armSkuName: name,
      armRegionName: region,
      productName: product,
      skuName: `${plain}${suffix}`,
      meterName: `${plain}${suffix}`,
      retailPrice: price,
      unitOfMeasure: "1 Hour",
      currencyCode: "USD",
      type: "Consumption",
    });
    return [
      item("Virtual Machines Series", "", hourly),
      item("Virtual Machines Series", " Spot", hourly * 0.3),
      item("Virtual Machines Series", " Low Priority", hourly * 0.2),
      item("Virtual Machines Series Windows", "", hourly * 1.9),
      item("Virtual Machines Series Windows", " Spot", hourly * 0.7),
    ];
  });
