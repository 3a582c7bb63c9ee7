/** What the emulated AWS lets, at prices of its own. */
export type Kind = {
  readonly cpus: number;
  readonly mebibytes: number;
  readonly gpu?: readonly [name: string, count: number, mebibytes: number];
  readonly hourly: number;
};
export const kinds: Readonly<Record<string, Kind>> = {
  "g4dn.xlarge": { cpus: 4, mebibytes: 16_384, gpu: ["T4", 1, 16_384], hourly: 0.6 },
  "g6.xlarge": { cpus: 4, mebibytes: 16_384, gpu: ["L4", 1, 22_888], hourly: 0.9 },
  "g6.12xlarge": { cpus: 48, mebibytes: 196_608, gpu: ["L4", 4, 22_888], hourly: 5.2 },
  "p4de.24xlarge": { cpus: 96, mebibytes: 1_179_648, gpu: ["A100", 8, 81_920], hourly: 40 },
  "m7i.large": { cpus: 2, mebibytes: 8_192, hourly: 0.11 },
  "c7i.2xlarge": { cpus: 8, mebibytes: 16_384, hourly: 0.4 },
};
