/**
 * A provider without a wire: the cloud of tests/fakes/gpu/cloud.ts behind the port. For the lease engine's own tests, where a vendor's
 * format would only be in the way.
 */
import type { Capability, CreateResult, Failure, Observed, Offer, ProviderId, Scope } from "../../../convex/model/gpu.ts";
import { ProviderError, type Provider } from "../../../functions/ports/gpu.ts";
import { openCloud, type Cloud, type Thing } from "./cloud.ts";
import { faults, type Fault } from "./fault.ts";

export type PlainProvider = { readonly provider: Provider; readonly cloud: Cloud };
export type PlainOptions = {
  readonly now: () => number;
  readonly id?: ProviderId;
  readonly createIs?: Capability["createIs"];
  readonly hasTtl?: boolean;
  readonly listLagMs?: number;
};

const hourlyMicros = 600_000;
const firstMs = 20_000;
const scopes: Readonly<Partial<Record<Fault, Scope>>> = { noCapacity: "zone", quota: "region", balance: "account" };

export function openPlain({
  now,
  id = "scaleway",
  createIs = "notOnce",
  hasTtl = false,
  listLagMs = 0,
}: PlainOptions): PlainProvider {
  const cloud = openCloud({ now, can: faults });
  const capability: Capability = {
    form: ["machine"],
    createIs,
    hasTags: true,
    hasSpot: true,
    shutdownEndsBill: "no",
    hasTtl,
    deletesItself: "scopedKey",
    listLagMs,
    noticeMs: 30_000,
    bootBytesMax: 16_000,
  };
  const fail = (kind: Failure["kind"], says: string, more: Partial<Failure> = {}): never => {
    throw new ProviderError({ kind, scope: "provider", says, ...more });
  };
  /** What befalls every call. */
  const enter = (): void => {
    if (cloud.is("down")) fail("transient", "It answers 503.");
    if (cloud.is("keyRevoked")) fail("auth", "The key is not taken.", { scope: "account" });
    if (cloud.take("tokenExpired")) fail("auth", "The session is over.", { scope: "account" });
    if (cloud.is("rateLimited")) fail("rateLimit", "Too many requests.", { retryAfterMs: 20_000 });
    if (cloud.is("rateLimitedSilently")) fail("rateLimit", "Too many requests.");
  };
  const observed = (thing: Thing): Observed => {
    const state = cloud.stateOf(thing);
    const isLeft = thing.disk !== undefined && !(thing.disk.goneAt !== undefined && thing.disk.goneAt <= now());
    const { installId, machineId, deadline } = thing.tags;
    return {
      ref: { provider: id, region: thing.place, id: thing.id },
      name: thing.name,
      ...(installId !== undefined && { installId }),
      ...(machineId !== undefined && { machineId }),
      ...(deadline !== undefined && { deadline: Number(deadline) }),
      state: state === "gone" && isLeft ? "stopped" : state,
      ...(thing.wentBy && thing.wentBy !== "us" && { wentBy: thing.wentBy }),
      isBilled: state !== "gone" || isLeft,
      satellites: state === "gone" && isLeft && thing.disk ? [{ kind: "disk", id: thing.disk.id, region: thing.place }] : [],
      hourly: { micros: thing.hourlyMicros, currency: "EUR" },
      createdAt: thing.bornAt,
    };
  };
  const make = ({ name, installId, machineId, deadline, offer, token }: Parameters<Provider["create"]>[0]): Thing =>
    cloud.add({
      id: cloud.nextId("m-", 6),
      name,
      place: offer.region,
      type: offer.type,
      tags: { installId, machineId, deadline: String(deadline) },
      isSpot: offer.isSpot,
      hourlyMicros: offer.hourly.micros,
      asked: { token },
      disk: { id: cloud.nextId("d-", 6), hourlyMicros: 10_000 },
      ...(hasTtl && { ttlAt: deadline }),
    });
  const lost: Failure = { kind: "transient", scope: "provider", says: "The answer was lost." };
  return {
    cloud,
    provider: {
      id,
      capability,
      async offers() {
        enter();
        return [offerAt(id, "zone-1", now(), hourlyMicros), offerAt(id, "zone-2", now(), hourlyMicros + 10_000)];
      },
      async create(intent): Promise<CreateResult> {
        try {
          enter();
        } catch (error) {
          if (error instanceof ProviderError) return { type: "failed", failure: error.failure };
          throw error;
        }
        for (const fault of ["noCapacity", "quota", "balance"] as const) {
          const scope = (cloud.scopeOf(fault) as Scope | undefined) ?? scopes[fault] ?? "provider";
          if (cloud.is(fault)) return { type: "failed", failure: { kind: fault, scope, says: `It says ${fault}.` } };
        }
        if (cloud.take("createReplyLostBefore")) return { type: "unknown", failure: lost };
        const same = cloud.things.find((thing) => thing.asked["token"] === intent.token);
        const thing = createIs !== "notOnce" && same ? same : make(intent);
        if (createIs === "notOnce" && cloud.take("createTwice")) make(intent);
        if (cloud.take("createReplyLostAfter")) return { type: "unknown", failure: lost };
        if (cloud.take("createErrorButExists"))
          return { type: "failed", failure: { kind: "transient", scope: "zone", says: "It says that it failed." } };
        return { type: "created", observed: observed(thing) };
      },
      async describe(ref) {
        enter();
        const thing = cloud.findById(ref.id);
        if (!thing || (cloud.is("describeMissingAtFirst") && now() < thing.bornAt + firstMs)) return undefined;
        const shown = observed(thing);
        return shown.state === "gone" && now() > (thing.goneAt ?? 0) + 3_600_000 ? undefined : shown;
      },
      async *list() {
        enter();
        if (cloud.take("listPageLost")) fail("transient", "A page of the list was lost.");
        for (const thing of cloud.listed(listLagMs)) {
          const shown = observed(thing);
          if (shown.state !== "gone" || now() <= (thing.goneAt ?? 0) + 3_600_000) yield shown;
        }
      },
      async terminate(ref) {
        enter();
        if (cloud.is("terminateFails")) fail("transient", "It answers 500.");
        const thing = cloud.findById(ref.id);
        if (!thing) return "gone";
        if (cloud.stateOf(thing) === "gone") {
          if (thing.disk) thing.disk.goneAt ??= now();
          return "gone";
        }
        cloud.end(thing, "us");
        return cloud.take("terminateMissing") ? "gone" : "accepted";
      },
      async check() {
        return [{ name: "key", passed: true, says: "Emulated." }];
      },
    },
  };
}

export function offerAt(provider: ProviderId, zone: string, pricedAt: number, micros: number): Offer {
  return {
    provider,
    id: `${zone}/gpu-1`,
    form: "machine",
    type: "gpu-1",
    region: zone,
    zone,
    isInEu: true,
    gpu: { name: "L4", count: 1, memoryMb: 24_000, isSimulated: true },
    cpus: 8,
    memoryMb: 32_000,
    diskMb: 100_000,
    isSpot: false,
    hourly: { micros, currency: "EUR" },
    quantumMs: 1_000,
    minimumMs: 60_000,
    stock: "high",
    pricedAt,
    priceSource: "emulated",
  };
}
