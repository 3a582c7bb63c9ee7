/** One program in a container: what it is made from and what it may have. */
export type ContainerSpec = {
  /** Unique on this machine; by it the container is found again. */
  readonly name: string;
  readonly image: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Published on 127.0.0.1 only. */
  readonly ports: readonly { readonly inside: number; readonly outside: number }[];
  /** Named volumes, which outlive the container. */
  readonly volumes: readonly { readonly name: string; readonly path: string }[];
  readonly memoryBytes: number;
  readonly cpus: number;
  readonly processesMax: number;
};

export type ContainerState = {
  readonly name: string;
  readonly image: string;
  readonly isRunning: boolean;
  /** Of the last end; undefined while it runs or before it ever did. */
  readonly exitCode?: number;
};

/** Containers on this machine. All calls fail with `unavailable` when no engine answers. */
export type Containers = {
  /** Makes sure that the image is here, fetching it when it is not; fails with `missing` when it cannot be fetched. */
  needImage(image: string, signal: AbortSignal): Promise<void>;
  /** Runs it. One of this name that was made from the same words is started or left alone; another is replaced, and keeps its volumes. */
  run(spec: ContainerSpec): Promise<void>;
  find(name: string): Promise<ContainerState | undefined>;
  /** The last lines it wrote. */
  lastLines(name: string, count: number): Promise<string[]>;
  /** Ends it; one that is not there or not running is no error. */
  stop(name: string): Promise<void>;
  /** Ends it and takes it away; its volumes stay. */
  remove(name: string): Promise<void>;
  removeVolume(name: string): Promise<void>;
};
