import { Duplex } from "node:stream";
import { connect } from "node:tls";

/** What this machine's TLS says first. */
export function helloFor(servername: string | undefined): Promise<Buffer> {
  return new Promise((resolve) => {
    const pipe = new Duplex({
      read: () => undefined,
      write(chunk: Buffer, _encoding, done) {
        resolve(Buffer.from(chunk));
        done();
      },
    });
    connect({ socket: pipe, ...(servername !== undefined && { servername }) }).on("error", () => undefined);
  });
}
