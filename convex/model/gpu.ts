/**
 * Rented compute, in words that hold for every provider. Amounts are whole micro-units of the currency they are billed in; times are
 * milliseconds; sizes of memory and disks are MB of 10^6 bytes. No policy here, and nothing of a vendor's.
 */
import { v, type Infer } from "convex/values";

export const providers = ["local", "ssh", "runpod", "aws", "google", "azure", "scaleway", "contabo"] as const;
export type ProviderId = (typeof providers)[number];
export const vProviderId = v.union(
  v.literal("local"),
  v.literal("ssh"),
  v.literal("runpod"),
  v.literal("aws"),
  v.literal("google"),
  v.literal("azure"),
  v.literal("scaleway"),
  v.literal("contabo"),
);

/** As billed: never converted, except to compare offers. */
export const vMoney = v.object({ micros: v.number(), currency: v.union(v.literal("EUR"), v.literal("USD")) });
export type Money = Infer<typeof vMoney>;

/** What work needs of a machine. Only what must hold; absent means that anything will do. */
export const vNeed = v.object({
  /** Absent: no GPU. `memoryMb` is of each. `names` as in `Offer.gpu.name`: any of these. */
  gpu: v.optional(v.object({ count: v.number(), memoryMb: v.number(), names: v.optional(v.array(v.string())) })),
  cpus: v.optional(v.number()),
  memoryMb: v.optional(v.number()),
  diskMb: v.optional(v.number()),
  isInEu: v.optional(v.boolean()),
  /** May be taken away at any time, for less. */
  maySpot: v.optional(v.boolean()),
});
export type Need = Infer<typeof vNeed>;

/**
 * How a provider lets a thing. `machine`: boots a system and runs a boot script once. `container`: runs an image with arguments.
 * `managed`: runs an image to its end under the vendor's own time limit. `host`: a system that runs already.
 */
export const vForm = v.union(v.literal("machine"), v.literal("container"), v.literal("managed"), v.literal("host"));
export type Form = Infer<typeof vForm>;

/** Something to be had now, with its price and where the price is from. */
export const vOffer = v.object({
  provider: vProviderId,
  /** Stable name of what is offered, unique with its provider: "fr-par-2/L4-1-24G", "us-east-1a/g6.xlarge/spot". */
  id: v.string(),
  form: vForm,
  /** The vendor's name of the kind of machine, and where it stands. */
  type: v.string(),
  region: v.string(),
  zone: v.optional(v.string()),
  isInEu: v.boolean(),
  /** `name` normalised: "L4", "A100-80", "H100", "RTX4090". `isSimulated` wherever it is shown. */
  gpu: v.optional(v.object({ name: v.string(), count: v.number(), memoryMb: v.number(), isSimulated: v.optional(v.boolean()) })),
  cpus: v.number(),
  memoryMb: v.number(),
  diskMb: v.number(),
  isSpot: v.boolean(),
  /** What befalls it is made up, for trying things out; said wherever it is shown. */
  isSimulated: v.optional(v.boolean()),
  hourly: vMoney,
  /** What the vendor's own ceiling lets a spot price climb to, where it is known; set aside is by this. */
  hourlyMax: v.optional(vMoney),
  /** What is begun is paid: a second, a minute, an hour, a month. `minimumMs` is paid even so. */
  quantumMs: v.number(),
  minimumMs: v.number(),
  stock: v.union(v.literal("none"), v.literal("low"), v.literal("medium"), v.literal("high"), v.literal("unknown")),
  pricedAt: v.number(),
  priceSource: v.string(),
});
export type Offer = Infer<typeof vOffer>;

/** What a provider's own words say; whether a paid proof agreed stands elsewhere, with its date. */
export const vCapability = v.object({
  form: v.array(vForm),
  /** Whether asking twice with the same token, or the same name, comes to one machine. */
  createIs: v.union(v.literal("onceByToken"), v.literal("onceByName"), v.literal("notOnce")),
  hasTags: v.boolean(),
  hasSpot: v.boolean(),
  /** What a shutdown from inside does to the bill. */
  shutdownEndsBill: v.union(v.literal("yes"), v.literal("no"), v.literal("unknown")),
  /** The vendor ends it by itself at a time we give. */
  hasTtl: v.boolean(),
  /** How what runs on it can have it deleted: by shutting down, by a scoped key, by its own identity, or not. */
  deletesItself: v.union(
    v.literal("shutdown"),
    v.literal("scopedKey"),
    v.literal("identity"),
    v.literal("process"),
    v.literal("no"),
  ),
  /** Longest the vendor takes to show what was made in a list, as its docs or users say. */
  listLagMs: v.number(),
  /** How long before it takes a spot machine away it says so; 0 for never. */
  noticeMs: v.number(),
  /** Largest boot script in bytes; 0 where there is none. */
  bootBytesMax: v.number(),
});
export type Capability = Infer<typeof vCapability>;

/** Everything a provider may answer that is not what was asked for. */
export const vFailureKind = v.union(
  v.literal("noCapacity"),
  v.literal("quota"),
  v.literal("auth"),
  v.literal("forbidden"),
  v.literal("balance"),
  v.literal("rateLimit"),
  v.literal("invalid"),
  v.literal("conflict"),
  v.literal("missing"),
  v.literal("transient"),
);
export type FailureKind = Infer<typeof vFailureKind>;
/** How far a failure reaches: what is not worth asking for again for a while. */
export const vScope = v.union(
  v.literal("type"),
  v.literal("zone"),
  v.literal("region"),
  v.literal("provider"),
  v.literal("account"),
);
export type Scope = Infer<typeof vScope>;
export const vFailure = v.object({
  kind: vFailureKind,
  scope: vScope,
  /** One sentence the owner may read; never a key, never a raw body. */
  says: v.string(),
  retryAfterMs: v.optional(v.number()),
});
export type Failure = Infer<typeof vFailure>;

/** Something beside the machine that is billed or stays behind: each must be gone before the machine counts as gone. */
export const vSatellite = v.object({
  kind: v.union(
    v.literal("disk"),
    v.literal("address"),
    v.literal("nic"),
    v.literal("key"),
    v.literal("group"),
    v.literal("request"),
  ),
  id: v.string(),
  region: v.string(),
});
export type Satellite = Infer<typeof vSatellite>;

/** Where a thing is, for its provider. `region` holds all that is needed to find it again, zone or group included. */
export const vRef = v.object({ provider: vProviderId, region: v.string(), id: v.string() });
export type Ref = Infer<typeof vRef>;

/** A thing as its provider shows it. Identity and deadline are read from its tags or, where there are none, from its name. */
export const vObserved = v.object({
  ref: vRef,
  name: v.string(),
  /** Absent: not ours. */
  installId: v.optional(v.string()),
  machineId: v.optional(v.string()),
  deadline: v.optional(v.number()),
  state: v.union(v.literal("booting"), v.literal("running"), v.literal("stopped"), v.literal("ending"), v.literal("gone")),
  /** Why it went, when it was not us. */
  wentBy: v.optional(v.union(v.literal("preemption"), v.literal("itself"), v.literal("vendor"), v.literal("elsewhere"))),
  isBilled: v.boolean(),
  address: v.optional(v.object({ host: v.string(), sshPort: v.number() })),
  satellites: v.array(vSatellite),
  hourly: v.optional(vMoney),
  createdAt: v.optional(v.number()),
});
export type Observed = Infer<typeof vObserved>;

/** What is to be made. Written down before it is asked for. */
export type MachineIntent = {
  /** `nika-{install8}-{machine12}-{deadline in base 36, seconds}`: see `machineName`. */
  readonly name: string;
  readonly installId: string;
  readonly machineId: string;
  /** Derived from install, machine and attempt (UUID, version 5), so that asking again is asking the same. */
  readonly token: string;
  /** Nothing of it lives longer, in ms since 1970. */
  readonly deadline: number;
  readonly offer: Offer;
  readonly diskMb: number;
  /** OpenSSH, one line; of this machine alone. */
  readonly publicKey: string;
  /** Of form `machine`: cloud-init. Of form `host`: a shell script. Holds a single-use enrolment token and no other secret. */
  readonly boot: string;
  /** Of form `container` and `managed`. */
  readonly container?: {
    readonly image: string;
    readonly args: readonly string[];
    readonly environment: Readonly<Record<string, string>>;
  };
};

/**
 * What asking for one came to. `unknown`: it may exist (the answer was lost, or an error came with a thing left behind); who asked must
 * look before asking again.
 */
export type CreateResult =
  | { readonly type: "created"; readonly observed: Observed }
  | { readonly type: "failed"; readonly failure: Failure }
  | { readonly type: "unknown"; readonly failure: Failure; readonly ref?: Ref };

/** One thing looked at when an account is connected; free of charge. */
export const vAccountCheck = v.object({
  name: v.string(),
  passed: v.boolean(),
  /** What was found, and what to do when it did not pass. */
  says: v.string(),
});
export type AccountCheck = Infer<typeof vAccountCheck>;

const installChars = 8;
const machineChars = 12;
const names = /^nika-([a-z0-9]{8})-([a-z0-9]{12})-([a-z0-9]{1,9})$/;

/** Carries identity and deadline on the thing itself, so that who has only the provider's key can tell what is to go. At most 35 characters of `a-z0-9-`. */
export function machineName({
  installId,
  machineId,
  deadline,
}: {
  readonly installId: string;
  readonly machineId: string;
  readonly deadline: number;
}): string {
  const seconds = Math.ceil(deadline / 1000).toString(36);
  return `nika-${installId.slice(0, installChars)}-${machineId.slice(0, machineChars)}-${seconds}`;
}

/** What an hour was offered for, in letters that every vendor's tags take. It stands on the thing, for when nothing else knows of it. */
export const priceTag = ({ micros, currency }: Money): string => `${Math.round(micros)}-${currency.toLowerCase()}`;

/** Undefined for what is no price. */
export function parsePriceTag(text: string | undefined): Money | undefined {
  const [, micros, currency] = /^(\d{1,15})-(eur|usd)$/.exec(text ?? "") ?? [];
  if (micros === undefined) return undefined;
  return { micros: Number(micros), currency: currency === "eur" ? "EUR" : "USD" };
}

/** Undefined for names that are none of ours. */
export function parseMachineName(
  name: string,
): { readonly installId: string; readonly machineId: string; readonly deadline: number } | undefined {
  const [, installId, machineId, seconds] = names.exec(name) ?? [];
  if (installId === undefined || machineId === undefined || seconds === undefined) return undefined;
  return { installId, machineId, deadline: Number.parseInt(seconds, 36) * 1000 };
}
