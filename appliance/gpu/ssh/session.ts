/** One signed-in connection to a machine: commands, and a way back from it to the door. */
import { createHash } from "node:crypto";
import { connect as connectTo } from "node:net";
import type { Client } from "ssh2";
import { NikaError } from "../../../convex/model/error.ts";

export type Session = {
  /** Runs a shell's words with these bytes as its input. Output is cut at a megabyte. */
  exec(words: string, input?: string): Promise<{ readonly code: number; readonly output: string }>;
  /** What is dialled at that port of the machine's own loopback comes to our socket. One that is laid already is no error. */
  lay(port: number, socket: string): Promise<void>;
  readonly fingerprint: string;
  readonly ended: Promise<void>;
  end(): void;
};

export type SessionOptions = {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly privateKey: string;
  /** Absent only the first time, when the owner is shown it. */
  readonly fingerprint?: string;
};

const outputMax = 1 << 20;
const readyMs = 20_000;
const keepAliveMs = 15_000;

/** Fails with `denied` when the key is not let in or the machine is another one, with `unavailable` when nothing answers. */
export async function openSession({ host, port, user, privateKey, fingerprint }: SessionOptions): Promise<Session> {
  const { default: ssh2 } = await import("ssh2");
  const client: Client = new ssh2.Client();
  let seen = "";
  const ended = new Promise<void>((resolve) => client.once("close", () => resolve()));
  await new Promise<void>((resolve, reject) => {
    client.once("ready", resolve);
    client.once("error", (error: Error & { level?: string }) => {
      if (fingerprint !== undefined && seen !== "" && seen !== fingerprint)
        reject(
          new NikaError(
            "denied",
            `Another machine answers at ${host}: its key is not the one that was pinned. Nothing was sent to it.`,
          ),
        );
      else if (error.level === "client-authentication")
        reject(new NikaError("denied", `${user}@${host} does not let Nika's key in; add it to ~/.ssh/authorized_keys there.`));
      else reject(new NikaError("unavailable", `${host} does not answer by SSH.`, { cause: error }));
    });
    client.connect({
      host,
      port,
      username: user,
      privateKey,
      readyTimeout: readyMs,
      keepaliveInterval: keepAliveMs,
      hostVerifier: (key: Buffer) => {
        seen = createHash("sha256").update(key).digest("base64");
        return fingerprint === undefined || seen === fingerprint;
      },
    });
  });
  client.on("error", () => client.end());
  const laid = new Set<number>();
  return {
    fingerprint: seen,
    ended,
    end: () => client.end(),
    exec: (words, input = "") =>
      new Promise((resolve, reject) => {
        client.exec(words, (error, stream) => {
          if (error) return reject(error);
          let output = "";
          let code = -1;
          const take = (piece: Buffer): void => void (output = (output + piece.toString("utf8")).slice(-outputMax));
          stream.on("data", take);
          stream.stderr.on("data", take);
          stream.on("exit", (exit: number | null) => (code = exit ?? -1));
          stream.on("close", () => resolve({ code, output }));
          stream.end(input);
        });
      }),
    async lay(remotePort, socket) {
      if (laid.has(remotePort)) return;
      laid.add(remotePort);
      client.on("tcp connection", (_details, accept) => {
        const far = accept();
        const near = connectTo(socket);
        far.on("error", () => near.destroy());
        near.on("error", () => far.end());
        far.pipe(near).pipe(far);
      });
      await new Promise<void>((resolve, reject) =>
        client.forwardIn("127.0.0.1", remotePort, (error) => (error ? reject(error) : resolve())),
      );
    },
  };
}
