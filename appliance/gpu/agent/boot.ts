/**
 * What a machine starts with so that it dials in. It holds a token that lets it enrol once, the key by which it shows that it is itself, where
 * there is one the key to end itself and one to join the mesh once, and no other secret. Whatever goes wrong before the agent runs, the script
 * ends the machine by itself when its life is over.
 */
import type { Failure, Offer, ProviderId } from "../../../convex/model/gpu.ts";
import { ProviderError, type Boots } from "../../../functions/ports/gpu.ts";
import { hashOfToken } from "../door/office.ts";
import type { Passes } from "../door/passes.ts";
import type { Reach } from "../reach.ts";
import type { MachineKey } from "../ssh/machineKeys.ts";
import type { EndStep } from "./guest/setting.ts";

export type BootOptions = {
  readonly passes: Passes;
  readonly reach: Pick<Reach, "of">;
  /** Of that machine alone, until its time is over. */
  readonly keysOf: (key: string, until: number) => Promise<MachineKey>;
  /** Lets that machine into the mesh once, under this name. */
  readonly meshKeyOf: (key: string, until: number) => Promise<MeshPass>;
  readonly now: () => number;
};
export type MeshPass = { readonly name: string; readonly key: string };

/** What runs where work names no image of its own, on providers that run images. */
const usualImage = "pytorch/pytorch:2.7.1-cuda12.6-cudnn9-runtime";
const secondMs = 1_000;
/** What is rented and never reports is paid for all the same. */
export const unreachable: Failure = {
  kind: "invalid",
  scope: "provider",
  says: "Rented containers have to reach Nika: start it with NIKA_PUBLIC_URL set to an https address that leads here. Machines that Nika can sign in to need no such address.",
};

export function openBoots({ passes, reach, keysOf, meshKeyOf, now }: BootOptions): Boots {
  return {
    async of({ key, epoch, deadline, offer, image, endKey }) {
      const token = passes.token({ machineId: key, epoch });
      const secretHash = hashOfToken(token);
      // Here the provider itself knows the way to the door.
      if (offer.provider === "local")
        return {
          boot: "",
          publicKey: "",
          container: { image: image ?? "", args: [], environment: { NIKA_GPU_TOKEN: token } },
          secretHash,
        };
      const reached = reach.of(offer);
      if (!reached) throw new ProviderError(unreachable);
      // Machines of the owner's are signed in to already.
      const keys = offer.provider === "ssh" ? undefined : await keysOf(key, deadline);
      const publicKey = keys?.publicKey ?? "";
      const lifeMs = Math.max(60 * secondMs, deadline - now());
      const variables = {
        NIKA_GPU_DOOR: reached.doorUrl,
        NIKA_GPU_TOKEN: token,
        NIKA_GPU_LIFE_MS: String(lifeMs),
        NIKA_GPU_END: JSON.stringify(endOf(offer, endKey)),
        ...noticeOf(offer.provider),
      };
      const mesh = reached.by === "mesh" ? await meshKeyOf(key, deadline) : undefined;
      const steps = [
        loginStep(offer, keys),
        offer.form === "machine" && keys ? hostKeyStep(keys) : "",
        mesh ? meshStep(mesh) : "",
      ];
      const script = scriptOf(variables, { lifeSeconds: Math.ceil(lifeMs / secondMs), offer, steps: steps.join("") });
      if (offer.form === "machine" || offer.form === "host") return { boot: script, publicKey, secretHash };
      return {
        boot: "",
        publicKey,
        container: {
          image: image ?? usualImage,
          args: ["/bin/sh", "-c", script],
          environment: { PUBLIC_KEY: publicKey },
        },
        secretHash,
      };
    },
  };
}

function noticeOf(provider: ProviderId): Record<string, string> {
  return provider === "aws" || provider === "google" || provider === "azure" ? { NIKA_GPU_NOTICE: provider } : {};
}

/** In turn, again and again: what the vendor offers to what runs on it, and the system's own end behind it. */
function endOf({ provider, form }: Offer, endKey: string | undefined): EndStep[] {
  const last: EndStep = form === "machine" ? { type: "shutdown" } : { type: "exit" };
  if (provider === "runpod")
    return [
      {
        type: "request",
        method: "DELETE",
        // The pod's own key and name are in its environment, and are put in by the script.
        url: "https://api.runpod.io/v2/pods/$RUNPOD_POD_ID",
        headers: { authorization: endKey === undefined ? "Bearer $RUNPOD_API_KEY" : `Bearer ${endKey}` },
      },
      last,
    ];
  if (provider === "google") {
    const metadata = "http://metadata.google.internal/computeMetadata/v1";
    const flavor = { "Metadata-Flavor": "Google" };
    return [
      { type: "request", method: "GET", url: `${metadata}/instance/name`, headers: flavor, keep: { name: "name", field: "" } },
      { type: "request", method: "GET", url: `${metadata}/instance/zone`, headers: flavor, keep: { name: "zone", field: "" } },
      {
        type: "request",
        method: "GET",
        url: `${metadata}/instance/service-accounts/default/token`,
        headers: flavor,
        keep: { name: "token", field: "access_token" },
      },
      {
        type: "request",
        method: "DELETE",
        url: "https://compute.googleapis.com/compute/v1/{{zone}}/instances/{{name}}",
        headers: { authorization: "Bearer {{token}}" },
      },
      last,
    ];
  }
  if (provider === "azure") {
    const metadata = "http://169.254.169.254/metadata";
    const headers = { Metadata: "true" };
    const text = (name: string): EndStep => ({
      type: "request",
      method: "GET",
      url: `${metadata}/instance/compute/${name}?api-version=2021-02-01&format=text`,
      headers,
      keep: { name, field: "" },
    });
    return [
      text("resourceId"),
      {
        type: "request",
        method: "GET",
        url: `${metadata}/identity/oauth2/token?api-version=2018-02-01&resource=https://management.azure.com/`,
        headers,
        keep: { name: "token", field: "access_token" },
      },
      {
        type: "request",
        method: "DELETE",
        url: "https://management.azure.com{{resourceId}}?api-version=2024-07-01",
        headers: { authorization: "Bearer {{token}}" },
      },
      last,
    ];
  }
  if (provider === "scaleway" && endKey !== undefined) {
    const metadata = "http://169.254.42.42/conf?format=json";
    return [
      { type: "request", method: "GET", url: metadata, keep: { name: "id", field: "id" } },
      { type: "request", method: "GET", url: metadata, keep: { name: "zone", field: "zone" } },
      {
        type: "request",
        method: "POST",
        url: "https://api.scaleway.com/instance/v1/zones/{{zone}}/servers/{{id}}/action",
        headers: { "x-auth-token": endKey, "content-type": "application/json" },
        body: JSON.stringify({ action: "terminate" }),
      },
      last,
    ];
  }
  return [last];
}

/** In single quotes, for a POSIX shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** All others are told by their own ways; Scaleway knows keys of a whole project only. */
function loginStep({ provider }: Offer, keys: MachineKey | undefined): string {
  if (provider !== "scaleway" || keys === undefined) return "";
  return `mkdir -p -m 700 /root/.ssh; printf '%s\\n' ${quoted(keys.publicKey.trim())} >> /root/.ssh/authorized_keys\n`;
}

/** What it made itself on its first start is put aside: nobody could know that. */
function hostKeyStep({ host }: MachineKey): string {
  const file = "/etc/ssh/ssh_host_ed25519_key";
  return `mkdir -p /etc/ssh; rm -f ${file}; ( umask 077; printf '%s\\n' ${quoted(host.privateKey.trim())} > ${file} )
printf '%s\\n' ${quoted(host.publicKey.trim())} > ${file}.pub
{ systemctl restart ssh || systemctl restart sshd || service ssh restart || kill -HUP "$(cat /run/sshd.pid)"; } >/dev/null 2>&1
`;
}

/** Tailscale's own program, from itself where the system has none. The key never stands among a program's words, and goes when it was used. */
function meshStep({ name, key }: MeshPass): string {
  return `command -v tailscale >/dev/null || { curl -fsSL https://tailscale.com/install.sh || wget -qO- https://tailscale.com/install.sh; } 2>/dev/null | sh >/dev/null 2>&1
M=$(mktemp); printf '%s' ${quoted(key)} > "$M"
( until tailscale up --auth-key="file:$M" --hostname=${name} --timeout=60s >/dev/null 2>&1; do sleep 3; done; rm -f "$M" ) &
`;
}

type Scripted = { readonly lifeSeconds: number; readonly offer: Offer; readonly steps: string };

/**
 * For any system with a POSIX shell and one of curl, wget or Python. Fetches the agent with a Node of its own from the door and becomes it; until
 * then a timer stands behind it.
 */
function scriptOf(variables: Readonly<Record<string, string>>, { lifeSeconds, offer: { form }, steps }: Scripted): string {
  // A host is somebody's: there only what was started ends.
  const end = form === "machine" ? "shutdown -h now || poweroff -f" : form === "host" ? "kill -9 -$$" : "kill -9 1 $$";
  return `#!/bin/sh
set -u
( sleep ${lifeSeconds}; ${end} ) &
${steps}${Object.entries(variables)
    .map(([name, value]) => `export ${name}=${quoted(value)}`)
    .join("\n")}
NIKA_GPU_END=$(printf '%s' "$NIKA_GPU_END" | sed "s|[$]RUNPOD_POD_ID|\${RUNPOD_POD_ID:-}|;s|[$]RUNPOD_API_KEY|\${RUNPOD_API_KEY:-}|")
F=\${NIKA_BASE:-/var/lib/nika}; mkdir -p $F 2>/dev/null || { F=/tmp/nika; mkdir -p $F; }
export NIKA_GPU_FOLDER=$F/machine NIKA_GPU_END
get() {
  curl -fsS -m 600 -H "authorization: Bearer $NIKA_GPU_TOKEN" -o "$2" "$1" 2>/dev/null && return
  wget -q -T 600 --header="authorization: Bearer $NIKA_GPU_TOKEN" -O "$2" "$1" 2>/dev/null && return
  python3 -c 'import sys,os,shutil,urllib.request as u
r=u.Request(sys.argv[1],headers={"authorization":"Bearer "+os.environ["NIKA_GPU_TOKEN"]})
shutil.copyfileobj(u.urlopen(r,timeout=600),open(sys.argv[2],"wb"))' "$1" "$2" 2>/dev/null
}
until get "$NIKA_GPU_DOOR/nika/gpu/agent/program" $F/program.tgz && tar -xzf $F/program.tgz -C $F; do sleep 3; done
L=$(ls $F/lib/ld-*.so.* | head -n 1)
export NIKA_GPU_NODE="[\\"$L\\",\\"--library-path\\",\\"$F/lib\\",\\"$F/node\\"]"
cd $F; exec "$L" --library-path $F/lib $F/node $F/agent/agent.mjs
`;
}
