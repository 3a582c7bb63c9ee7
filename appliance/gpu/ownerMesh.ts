/** The owner's mesh, once they connected one: where Nika is reached in it, and who of the machines is let in. Kept as one secret. */
import { NikaError } from "../../convex/model/error.ts";
import { machineName, parseMachineName, type AccountCheck } from "../../convex/model/gpu.ts";
import { ProviderError } from "../../functions/ports/gpu.ts";
import type { Secrets } from "../../functions/ports/secrets.ts";
import type { MeshPass } from "./agent/boot.ts";
import { tailscale, type Mesh } from "./mesh.ts";
import { keepEach } from "./ssh/machineKeys.ts";

export type MeshFields = Readonly<Record<string, string>>;
export type OwnerMesh = {
  /** Of this appliance in the mesh; undefined where none is connected. */
  url(): string | undefined;
  /** Lets the machine of this key in, once and soon. Asked again, it says the same. Fails with `ProviderError`. */
  pass(key: string, deadline: number): Promise<MeshPass>;
  /** Takes away this install's devices that are none of these. */
  tidy(living: ReadonlySet<string>, signal: AbortSignal): Promise<void>;
  /** Without fields it only looks. Fails with `invalid` for fields that lack or mean nothing. */
  connect(fields: MeshFields, signal: AbortSignal): Promise<readonly AccountCheck[]>;
  disconnect(): Promise<void>;
};

export type OwnerMeshOptions = {
  readonly secrets: Secrets;
  readonly installId: string;
  readonly now: () => number;
  /** Somewhere else than Tailscale's own, in tests. */
  readonly apiUrl?: string;
};

export const meshFields = ["clientId", "clientSecret", "address", "tag?", "tailnet?"];
const secretName = "gpu.tailscale";
const reader = "rented machines";
const mintMs = 30_000;

export async function openOwnerMesh({ secrets, installId, now, apiUrl }: OwnerMeshOptions): Promise<OwnerMesh> {
  let fields = parsed(await secrets.find(secretName, reader));
  const client = (): Mesh => {
    const { clientId = "", clientSecret = "", tag, tailnet } = fields ?? {};
    return tailscale({
      credentials: async () => ({ clientId, clientSecret }),
      now,
      ...(tag && { tag }),
      ...(tailnet && { tailnet }),
      ...(apiUrl !== undefined && { url: apiUrl }),
    });
  };
  let mesh = client();
  const keyOf = keepEach(secrets, {
    prefix: "gpu.mesh.",
    now,
    make: (name: string) => mesh.mint(name, AbortSignal.timeout(mintMs)),
  });

  async function check(signal: AbortSignal): Promise<AccountCheck[]> {
    const { address = "" } = fields ?? {};
    const account = await mesh.list(signal).then(
      (devices): AccountCheck => ({
        name: "mesh",
        passed: true,
        says: `Tailscale answers; ${devices.length} device${devices.length === 1 ? "" : "s"} with Nika's tag.`,
      }),
      (error: unknown): AccountCheck => ({ name: "mesh", passed: false, says: saysOf(error) }),
    );
    const answered = await fetch(`${address}/nika/health`, { signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]) })
      .then(({ ok }) => ok)
      .catch(() => false);
    const way: AccountCheck = {
      name: "address",
      passed: answered,
      says: answered
        ? `Nika answers at ${address}.`
        : `Nika does not answer at ${address} from here; \`tailscale serve --bg PORT\` on this machine makes it.`,
    };
    return [account, way];
  }

  return {
    url: () => fields?.["address"],
    async pass(key, deadline) {
      const name = machineName({ installId, machineId: key, deadline });
      return { name, key: (await keyOf(name, deadline)).key };
    },
    async tidy(living, signal) {
      for (const { name } of await mesh.list(signal)) {
        const isOurs = parseMachineName(name)?.installId === installId.slice(0, 8);
        if (isOurs && !living.has(name)) await mesh.remove({ name }, signal);
      }
    },
    async connect(given, signal) {
      if (Object.keys(given).length > 0 || fields === undefined) {
        const kept = mustBeWhole(given);
        await secrets.set(secretName, JSON.stringify(kept), reader);
        fields = kept;
        mesh = client();
      }
      return check(signal);
    },
    async disconnect() {
      await secrets.remove(secretName, reader);
      fields = undefined;
      mesh = client();
    },
  };
}

function parsed(text: string | undefined): MeshFields | undefined {
  return text === undefined ? undefined : (JSON.parse(text) as MeshFields);
}

function mustBeWhole(fields: MeshFields): MeshFields {
  const lacking = meshFields.filter((name) => !name.endsWith("?") && (fields[name] ?? "") === "");
  if (lacking.length > 0)
    throw new NikaError("invalid", `tailscale needs ${lacking.join(", ")}; docs/gpu.md says where they come from.`);
  const names = meshFields.map((name) => name.replace("?", ""));
  const strange = Object.keys(fields).find((name) => !names.includes(name));
  if (strange !== undefined)
    throw new NikaError("invalid", `"${strange}" means nothing to tailscale; it takes ${names.join(", ")}.`);
  const url = URL.parse(fields["address"] ?? "");
  if (url === null || url.protocol !== "https:")
    throw new NikaError("invalid", "The address is the https one that Nika has in the mesh, as in https://nika.tail1234.ts.net.");
  return { ...fields, address: url.origin };
}

function saysOf(error: unknown): string {
  return error instanceof ProviderError ? error.failure.says : "Tailscale did not answer.";
}
