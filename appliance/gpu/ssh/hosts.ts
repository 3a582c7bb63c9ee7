/** Machines that the owner has, in DATA/gpu/hosts.json, and the key by which Nika signs in to them. */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { NikaError } from "../../../convex/model/error.ts";
import { writeWhole } from "../../secrets/whole.ts";

export type Host = {
  /** What it is called here. */
  readonly name: string;
  readonly user: string;
  readonly host: string;
  readonly port: number;
  /** Of its key, SHA-256 in base64: another machine that answers there is not signed in to. */
  readonly fingerprint: string;
  /** Pieces of work at a time. */
  readonly slots: number;
  readonly cpus: number;
  readonly memoryMb: number;
  readonly diskMb: number;
  readonly gpu?: { readonly name: string; readonly count: number; readonly memoryMb: number };
};

export function readHosts(dataDir: string): readonly Host[] {
  try {
    return JSON.parse(readFileSync(join(dataDir, "gpu", "hosts.json"), "utf8")) as Host[];
  } catch {
    return [];
  }
}

export function writeHosts(dataDir: string, hosts: readonly Host[]): void {
  mkdirSync(join(dataDir, "gpu"), { recursive: true, mode: 0o700 });
  writeWhole(join(dataDir, "gpu", "hosts.json"), JSON.stringify(hosts, undefined, 1));
}

export type SshKey = { readonly privateKey: string; readonly publicKey: string };

/** Ed25519, both halves in OpenSSH's forms. */
export async function newSshKey(): Promise<SshKey> {
  const { default: ssh2 } = await import("ssh2");
  const { private: privateKey, public: publicKey } = ssh2.utils.generateKeyPairSync("ed25519", { comment: "nika" });
  return { privateKey, publicKey };
}

/** Made at its first use; the private half never leaves DATA/keys. */
export async function sshKeyIn(dataDir: string): Promise<SshKey> {
  const file = join(dataDir, "keys", "ssh.json");
  if (!existsSync(file)) {
    const made = await newSshKey();
    mkdirSync(join(dataDir, "keys"), { recursive: true, mode: 0o700 });
    writeWhole(file, JSON.stringify(made));
  }
  return JSON.parse(readFileSync(file, "utf8")) as SshKey;
}

/** "user@host:port". Fails with `invalid`. */
export function toAddress(text: string): { readonly user: string; readonly host: string; readonly port: number } {
  const [, user, host, port = "22"] = /^([\w.-]+)@([\w.-]+|\[[0-9a-f:]+\])(?::(\d{1,5}))?$/i.exec(text) ?? [];
  if (user === undefined || host === undefined)
    throw new NikaError("invalid", `"${text}" is no address; write user@host, or user@host:port.`);
  return { user, host: host.replaceAll(/[[\]]/g, ""), port: Number(port) };
}
