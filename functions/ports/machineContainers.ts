/** Containers of this machine as machines that can be let: they outlive who started them and are found again by name and labels. */
export type MachineContainerSpec = {
  /** Unique on this machine; asking twice for the same name makes one. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly image: string;
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Folders of this machine. */
  readonly mounts: readonly { readonly from: string; readonly to: string; readonly isWritable: boolean }[];
  readonly user: string;
  readonly memoryBytes: number;
  readonly cpus: number;
  readonly processesMax: number;
  readonly hasNetwork: boolean;
  /** How many of this machine's GPUs; 0 for none. */
  readonly gpus: number;
};

export type MachineContainer = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly isRunning: boolean;
  readonly exitCode?: number;
  readonly createdAt: number;
};

/** All calls but `isThere` fail with `unavailable` when no engine answers. */
export type MachineContainers = {
  isThere(signal: AbortSignal): Promise<boolean>;
  /** Whether it can hand on NVIDIA GPUs. */
  hasGpus(): Promise<boolean>;
  /** Fails with `missing` when the image is not here and cannot be fetched. */
  create(spec: MachineContainerSpec, signal: AbortSignal): Promise<MachineContainer>;
  find(name: string): Promise<MachineContainer | undefined>;
  list(label: string): Promise<readonly MachineContainer[]>;
  /** Kills and takes away; one that is not there is no error. */
  remove(name: string): Promise<void>;
  lastOutput(name: string, lines: number): Promise<string>;
  /** An image of this machine's own Node (and Python, where there is one), for work that names none. */
  ownImage(): Promise<string>;
};
