/**
 * The Docker Engine's client. It is loaded by the first call: it brings two hundred modules along, which every start of the appliance would
 * wait for, and most days nobody asks for a container.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import type Docker from "dockerode";

export const engineSocket = "/var/run/docker.sock";

/** Whether there may be an engine on this machine. */
export const hasEngine = (): boolean => existsSync(engineSocket);

export function openDocker(socketPath: string): Docker {
  let client: Docker | undefined;
  const loaded = (): Docker => {
    const Client = createRequire(import.meta.url)("dockerode") as typeof Docker;
    return (client ??= new Client({ socketPath }));
  };
  return new Proxy({} as Docker, {
    get(_, name) {
      const docker = loaded();
      const value: unknown = Reflect.get(docker, name);
      return typeof value === "function" ? (value as () => unknown).bind(docker) : value;
    },
  });
}
