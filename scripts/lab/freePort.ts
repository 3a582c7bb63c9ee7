import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";

/** A port of the loopback that nobody has right now, for a program that must be told one. Whoever asks next may be given the same. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
