/** One signed-in connection to a machine: commands, and a way back from it to the door. */
import { createHash } from "node:crypto";
import { connect as connectTo } from "node:net";
import type { Client } from "ssh2";
import { NikaError } from "../../../convex/model/error.ts";

export type Session = {
  /** Runs a shell's words with these bytes as its input. Output is cut at a megabyte. */
  exec(words: string, input?: string): Promise<{ readonly code: number; readonly output: string }>;
  /** What is dialled at that port of the machine's own loopback comes to `to`. One that is laid already is no error. */
  lay(port: number, to: Home): Promise<void>;
  readonly fingerprint: string;
  readonly ended: Promise<void>;
  end(): void;
};

/** A socket of ours, or a port of our own loopback. */
export type Home = string | number;

export type SessionOptions = {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly privateKey: string;
  /** Absent only the first time, when the owner is shown it. */
  readonly fingerprint?: string;
  /** Of the pinned key, where the machine may have several. */
  readonly keyType?: "ssh-ed25519";
};

const outputMax = 1 << 20;
const readyMs = 20_000;
const keepAliveMs = 15_000;

/** Fails with `denied` when the key is not let in or the machine is another one, with `unavailable` when nothing answers. */
export async function openSession({ host, port, user, privateKey, fingerprint, keyType }: SessionOptions): Promise<Session> {
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
      // Other keys of the machine's would be no news of it, and not the pinned one.
      ...(keyType !== undefined && { algorithms: { serverHostKey: [keyType] } }),
      hostVerifier: (key: Buffer) => {
        seen = createHash("sha256").update(key).digest("base64");
        return fingerprint === undefined || seen === fingerprint;
      },
    });
  });
  client.on("error", () => client.end());
  const laid = new Map<number, Home>();
  client.on("tcp connection", ({ destPort }, accept, reject) => {
    const home = laid.get(destPort);
    if (home === undefined) return reject();
    const far = accept();
    const near = typeof home === "string" ? connectTo(home) : connectTo(home, "127.0.0.1");
    far.on("error", () => near.destroy());
    near.on("error", () => far.end());
    far.pipe(near).pipe(far);
  });
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
    async lay(port, to) {
      if (laid.has(port)) return;
      laid.set(port, to);
      await new Promise<void>((resolve, reject) =>
        client.forwardIn("127.0.0.1", port, (error) => (error ? reject(error) : resolve())),
      );
    },
  };
}
