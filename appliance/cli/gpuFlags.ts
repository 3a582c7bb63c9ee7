/** What was asked for with a command about machines, as the command line reads it. Amounts are euros, spans milliseconds, memory and disks GB. */
export type NeedFlags = {
  readonly on?: readonly string[];
  readonly gpu?: number;
  readonly gpuMemory?: number;
  readonly cpus?: number;
  readonly memory?: number;
  readonly disk?: number;
  readonly eu?: true;
  readonly spot?: true;
  readonly time: number;
  readonly cost?: number;
};
export type AskFlags = NeedFlags & { readonly label?: string; readonly image?: string; readonly env?: readonly string[] };
export type OfferFlags = NeedFlags & { readonly limit: number };
export type RunFlags = AskFlags & { readonly out?: string; readonly detach?: true; readonly yes?: true };

export type HostFlags = { readonly name?: string; readonly slots: number; readonly yes?: true };
export type CapFlags = {
  readonly day?: number;
  readonly month?: number;
  readonly job?: number;
  readonly agent?: number;
  readonly hour?: number;
  readonly providerDay?: ProviderDay;
  /** Dollars that a euro is worth. */
  readonly rate?: number;
};
export type ConnectFlags = {
  readonly credentialsFile?: string;
  readonly prove?: true;
  readonly yes?: true;
  readonly forget?: true;
};
/** By provider; `none` takes its cap away. */
export type ProviderDay = Readonly<Record<string, number | "none">>;
