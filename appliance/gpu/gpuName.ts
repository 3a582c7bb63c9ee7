/**
 * One name for one kind of GPU, whoever lets it: "NVIDIA Tesla T4", "nvidia-tesla-t4" and "T4" are "T4". Where two sizes of memory bear
 * one name, the size is part of ours: "A100-40", "A100-80".
 */

/** `memoryMb` of each, of 10^6 bytes; only asked for where the name alone does not tell. */
export function gpuName(vendorName: string, memoryMb?: number): string {
  const plain = plainOf(vendorName);
  for (const [pattern, name] of named) if (pattern.test(plain)) return typeof name === "string" ? name : name(plain, memoryMb);
  return plain.replaceAll(/^(NVIDIA-)?(TESLA-)?/g, "");
}

/** Whether it is a kind that is known here, so that two spellings of it come to one name. */
export const isNamed = (vendorName: string): boolean => named.some(([pattern]) => pattern.test(plainOf(vendorName)));

const plainOf = (vendorName: string): string =>
  vendorName
    .toUpperCase()
    .replaceAll(/[\s_-]+/g, "-")
    .replace(/-VWS$|-\d+G$/, "");

const sized =
  (name: string, [small, large]: readonly [number, number], isLarge: RegExp) =>
  (plain: string, memoryMb?: number): string =>
    `${name}-${isLarge.test(plain) || (memoryMb ?? 0) > small * 1_200 ? large : small}`;

const named: readonly (readonly [RegExp, string | ((plain: string, memoryMb?: number) => string)])[] = [
  [/\bA100/, sized("A100", [40, 80], /80/)],
  [/\bV100/, sized("V100", [16, 32], /32/)],
  [/\bGH200/, "GH200"],
  [/\bGB200/, "GB200"],
  [/\bGB300/, "GB300"],
  [/\bB200/, "B200"],
  [/\bB300/, "B300"],
  [/\bH200/, "H200"],
  [/\bH100/, "H100"],
  [/\bL40S/, "L40S"],
  [/\bL40\b/, "L40"],
  [/\bL4\b/, "L4"],
  [/\bA10G/, "A10G"],
  [/\bA10\b/, "A10"],
  [/\bT4\b/, "T4"],
  [/\bP100/, "P100"],
  [/\bP4\b/, "P4"],
  [/\bK80/, "K80"],
  [/\bM60/, "M60"],
  [/RTX-?PRO-?(SERVER-)?6000/, "RTXPRO6000"],
  [/RTX-?(A)?(\d{4})/, (plain) => `RTX${/RTX-?(A?\d{4})/.exec(plain)?.[1] ?? ""}`],
];
