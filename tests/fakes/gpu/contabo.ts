/**
 * Contabo's API as far as Nika uses it, with its sign-in, on a socket of this machine. A machine is bought by the month and cannot be
 * deleted: it is cancelled, and goes when its month is over. Lists come in short pages.
 *
 * Bodies are those of "Contabo API" 1.0.0, as published in github.com/contabo/cntb (openapi/api/openapi.yaml at e847e07, 7 May 2025), in
 * our own notation. How it words that a product is not to be had is not published: that sentence is ours.
 */
import { randomUUID } from "node:crypto";
import { lost, openCloud, serve, type Heard, type Reply, type Thing } from "./cloud.ts";
import type { Fault, Lying } from "./fault.ts";
import { mismatches, shaped, type Shape } from "./shape.ts";

export type FakeContabo = {
  readonly url: string;
  readonly tokenUrl: string;
  readonly credentials: {
    readonly clientId: string;
    readonly clientSecret: string;
    readonly user: string;
    readonly password: string;
  };
  readonly lying: Lying;
  readonly heard: readonly Heard[];
  /** Names of the keys that the account keeps. */
  readonly secrets: () => readonly string[];
  close(): Promise<void>;
};

const can: readonly Fault[] = [
  "createReplyLostAfter",
  "createReplyLostBefore",
  "createErrorButExists",
  "createTwice",
  "describeMissingAtFirst",
  "listOmitsOnce",
  "listPageLost",
  "terminateIgnoredTwice",
  "terminateFails",
  "disappears",
  "noCapacity",
  "balance",
  "rateLimited",
  "rateLimitedSilently",
  "keyRevoked",
  "tokenExpired",
  "down",
];

const monthMs = 30 * 86_400_000;
const lagMs = 60_000;
const pageMax = 2;
/** Invented, per hour. */
const hourlyMicros = 9_000;

const setup = {
  imageId: "string",
  sshKeys: { list: "integer" },
  userData: "string",
  defaultUser: { words: ["root", "admin", "administrator"] },
} as const;
const createShape: Shape = {
  must: { period: "integer" },
  may: {
    ...setup,
    productId: "string",
    region: { words: ["EU", "US-central", "US-east", "US-west", "SIN", "UK", "AUS", "JPN", "IND"] },
    displayName: "string",
  },
};
const reinstallShape: Shape = { must: { imageId: "string" }, may: setup };
const owner = { tenantId: "string", customerId: "string" } as const;
const ip: Shape = { must: { ip: "string", gateway: "string", netmaskCidr: "integer" } };
const instanceShape: Shape = {
  must: {
    ...owner,
    additionalIps: { list: "any" },
    name: "string",
    displayName: "string",
    instanceId: "integer",
    dataCenter: "string",
    region: "string",
    regionName: "string",
    productId: "string",
    imageId: "string",
    ipConfig: { must: { v4: ip, v6: ip } },
    macAddress: "string",
    ramMb: "number",
    cpuCores: "integer",
    osType: "string",
    diskMb: "number",
    sshKeys: { list: "integer" },
    createdDate: "string",
    // Empty, or no date at all, for what is not cancelled.
    cancelDate: "string",
    status: {
      words: [
        "provisioning",
        "uninstalled",
        "running",
        "stopped",
        "error",
        "installing",
        "unknown",
        "manual_provisioning",
        "product_not_available",
        "verification_required",
        "rescue",
        "pending_payment",
        "other",
        "reset_password",
      ],
    },
    vHostId: "integer",
    vHostNumber: "integer",
    vHostName: "string",
    addOns: { list: "any" },
    productType: { words: ["hdd", "ssd", "vds", "nvme"] },
    productName: "string",
  },
  may: { errorMessage: "string", defaultUser: "string" },
};
const secretShape: Shape = {
  must: {
    ...owner,
    secretId: "integer",
    name: "string",
    type: { words: ["ssh", "password"] },
    value: "string",
    createdAt: "string",
    updatedAt: "string",
  },
};
const listShape = (of: Shape): Shape => ({
  must: {
    data: { list: of },
    _pagination: { must: { size: "number", totalElements: "number", totalPages: "number", page: "number" } },
    _links: "any",
  },
});

export async function openFakeContabo({ now }: { readonly now: () => number }): Promise<FakeContabo> {
  const credentials = {
    clientId: "DE-12345678",
    clientSecret: randomUUID(),
    user: "owner@example.org",
    password: `Pw-${randomUUID()}`,
  };
  const cloud = openCloud({ now, can, bootMs: 300_000, endMs: 0, isStoppedBilled: true });
  const displayNames = new Map<string, string>();
  const secrets = new Map<number, { name: string; value: string; at: number }>();
  const tokens = new Map<string, number>();
  let serial = 100;

  type Route = readonly [string, RegExp, (heard: Heard, id: string) => Reply | typeof lost];
  const routes: readonly Route[] = [
    [
      "GET",
      /^\/v1\/compute\/instances$/,
      (heard) => {
        const shown = cloud.listed(lagMs).filter(isThere);
        const isCut = heard.url.searchParams.get("page") === "2" && cloud.take("listPageLost");
        return page(heard, (isCut ? shown.slice(0, pageMax) : shown).map(toInstance), { of: instanceShape, count: shown.length });
      },
    ],
    ["POST", /^\/v1\/compute\/instances$/, buy],
    [
      "GET",
      /^\/v1\/compute\/instances\/([^/]+)$/,
      (_, id) => {
        const thing = find(id);
        if (!thing || (cloud.is("describeMissingAtFirst") && thing.bornAt + 20_000 > now())) return missing();
        return json(200, { data: [shaped(instanceShape, toInstance(thing), "a machine")], _links: { self: "/v1" } });
      },
    ],
    [
      "PATCH",
      /^\/v1\/compute\/instances\/([^/]+)$/,
      (heard, id) =>
        changed(heard, id, { must: {}, may: { displayName: "string" } }, (body) =>
          displayNames.set(id, String(body.displayName)),
        ),
    ],
    [
      "PUT",
      /^\/v1\/compute\/instances\/([^/]+)$/,
      (heard, id) =>
        changed(heard, id, reinstallShape, (_, thing) => {
          delete thing.stoppedAt;
          thing.upAt = now() + 300_000;
        }),
    ],
    [
      "POST",
      /^\/v1\/compute\/instances\/([^/]+)\/actions\/stop$/,
      (heard, id) => changed(heard, id, { must: {} }, (_, thing) => cloud.stop(thing)),
    ],
    [
      "POST",
      /^\/v1\/compute\/instances\/([^/]+)\/cancel$/,
      (heard, id) => {
        const thing = find(id);
        if (!thing) return missing();
        if (cloud.is("terminateFails")) return said(500, "Internal server error");
        const at = Date.parse((JSON.parse(heard.body) as { cancelDate: string }).cancelDate);
        if (Number.isNaN(at) || at < now()) return said(400, "cancelDate must be in the future");
        // Whole months from the day it was bought.
        const goesAt = thing.bornAt + Math.ceil(Math.max(1, at - thing.bornAt) / monthMs) * monthMs;
        if (!cloud.take("terminateIgnoredTwice")) thing.ttlAt = goesAt;
        return json(201, {
          data: [{ ...who, instanceId: Number(id), cancelDate: new Date(goesAt).toISOString().slice(0, 10) }],
          _links: { self: "/v1" },
        });
      },
    ],
    [
      "GET",
      /^\/v1\/secrets$/,
      (heard) => {
        const name = heard.url.searchParams.get("name");
        const found = [...secrets].filter(([, one]) => name === null || one.name.includes(name));
        return page(
          heard,
          found.map(([id, one]) => toSecret(id, { ...one, value: "hidden in lists" })),
          { of: secretShape, count: found.length },
        );
      },
    ],
    [
      "POST",
      /^\/v1\/secrets$/,
      (heard) => {
        const body = JSON.parse(heard.body) as { name: string; type: string; value: string };
        const wrong = mismatches({ must: { name: "string", type: { words: ["ssh", "password"] }, value: "string" } }, body);
        if (wrong.length > 0) return said(400, wrong.join("; "));
        serial += 1;
        secrets.set(serial, { name: body.name, value: body.value, at: now() });
        return json(201, {
          data: [shaped(secretShape, toSecret(serial, { ...body, at: now() }), "a secret")],
          _links: { self: "/v1" },
        });
      },
    ],
    ["DELETE", /^\/v1\/secrets\/([^/]+)$/, (_, id) => (secrets.delete(Number(id)) ? { status: 204, body: "" } : missing())],
  ];

  function buy(heard: Heard): Reply | typeof lost {
    const body = JSON.parse(heard.body) as Record<string, unknown>;
    const wrong = mismatches(createShape, body);
    if (wrong.length > 0) return said(400, `${wrong.join("; ")} in ${heard.body}`);
    if (cloud.take("createReplyLostBefore")) return lost;
    if (cloud.is("balance")) return said(402, "Payment Required");
    if (cloud.is("noCapacity"))
      return said(400, `product ${String(body.productId)} is currently not available in region ${String(body.region)}`);
    const make = (): Thing => {
      serial += 1;
      const thing = cloud.add({
        id: String(serial),
        name: String(body.displayName),
        place: (body.region as string | undefined) ?? "EU",
        type: (body.productId as string | undefined) ?? "V92",
        tags: {},
        isSpot: false,
        hourlyMicros,
        asked: body,
      });
      displayNames.set(thing.id, thing.name);
      return thing;
    };
    const thing = make();
    if (cloud.take("createTwice")) make();
    if (cloud.take("createReplyLostAfter")) return lost;
    if (cloud.take("createErrorButExists")) return said(500, "Internal server error");
    return json(201, {
      data: [
        {
          ...who,
          instanceId: Number(thing.id),
          createdDate: new Date(now()).toISOString(),
          imageId: body.imageId,
          productId: thing.type,
          region: thing.place,
          addOns: [],
          osType: "Linux",
          status: "provisioning",
          sshKeys: body.sshKeys ?? [],
        },
      ],
      _links: { self: "/v1" },
    });
  }

  function changed(heard: Heard, id: string, shape: Shape, change: (body: Record<string, unknown>, thing: Thing) => void): Reply {
    const thing = find(id);
    if (!thing) return missing();
    const body = JSON.parse(heard.body === "" ? "{}" : heard.body) as Record<string, unknown>;
    const wrong = mismatches(shape, body);
    if (wrong.length > 0) return said(400, wrong.join("; "));
    change(body, thing);
    return json(200, {
      data: [{ ...who, instanceId: Number(id), createdDate: new Date(now()).toISOString() }],
      _links: { self: "/v1" },
    });
  }

  const isThere = (thing: Thing): boolean => cloud.stateOf(thing) !== "gone";
  const find = (id: string): Thing | undefined => {
    const thing = cloud.findById(id);
    return thing && isThere(thing) ? thing : undefined;
  };
  const toInstance = (thing: Thing): object => {
    const state = cloud.stateOf(thing);
    return {
      ...who,
      additionalIps: [],
      name: `vmd${thing.id}`,
      displayName: displayNames.get(thing.id) ?? thing.name,
      instanceId: thing.isForeign ? 7 : Number(thing.id),
      dataCenter: "European Union 1",
      region: thing.place === "" ? "EU" : thing.place,
      regionName: "European Union",
      productId: thing.type,
      imageId: "afecbb85-e2fc-46f0-9684-b46b1faf00bb",
      ipConfig: {
        v4: { ip: "192.0.2.7", gateway: "192.0.2.1", netmaskCidr: 24 },
        v6: { ip: "2001:db8::7", gateway: "fe80::1", netmaskCidr: 64 },
      },
      macAddress: "00:50:56:00:00:07",
      ramMb: 16_384,
      cpuCores: 6,
      osType: "Linux",
      diskMb: 204_800,
      sshKeys: [],
      createdDate: new Date(thing.bornAt).toISOString(),
      cancelDate: thing.ttlAt === undefined ? "" : new Date(thing.ttlAt).toISOString().slice(0, 10),
      status:
        state === "booting"
          ? now() - thing.bornAt < 60_000
            ? "provisioning"
            : "installing"
          : state === "stopped"
            ? "stopped"
            : "running",
      vHostId: 1,
      vHostNumber: 1,
      vHostName: "m1",
      addOns: [],
      productType: "nvme",
      productName: "VPS 20 NVMe",
      defaultUser: "root",
    };
  };

  const server = await serve((heard) => {
    if (cloud.is("down")) return { status: 503, body: "<html>maintenance</html>" };
    if (cloud.is("rateLimited")) return { ...said(429, "Rate limit reached"), headers: { "retry-after": "20" } };
    if (cloud.is("rateLimitedSilently")) return said(429, "Rate limit reached");
    if (heard.url.pathname === "/token") return signIn(heard);
    const token = heard.headers.authorization?.replace("Bearer ", "") ?? "";
    if (cloud.take("tokenExpired")) tokens.clear();
    if ((tokens.get(token) ?? 0) <= now() || cloud.is("keyRevoked")) return said(401, `Unauthorized: ${token}`);
    if (!/^[0-9a-f-]{36}$/i.test(String(heard.headers["x-request-id"]))) return said(400, "x-request-id must be a uuid");
    for (const [method, pattern, handle] of routes) {
      const found = pattern.exec(heard.url.pathname);
      if (found && method === heard.method) return handle(heard, found[1] ?? "");
    }
    return missing();
  });

  function signIn(heard: Heard): Reply {
    const form = new URLSearchParams(heard.body);
    const isRight =
      form.get("grant_type") === "password" &&
      form.get("client_id") === credentials.clientId &&
      form.get("client_secret") === credentials.clientSecret &&
      form.get("username") === credentials.user &&
      form.get("password") === credentials.password;
    if (!isRight || cloud.is("keyRevoked"))
      return json(401, { error: "invalid_grant", error_description: `Invalid user credentials ${form.get("password") ?? ""}` });
    const token = `${randomUUID()}.${randomUUID()}`;
    tokens.set(token, now() + 300_000);
    return json(200, {
      access_token: token,
      expires_in: 300,
      refresh_expires_in: 1_800,
      refresh_token: randomUUID(),
      token_type: "Bearer",
      scope: "profile",
    });
  }

  return {
    url: server.url,
    tokenUrl: `${server.url}/token`,
    credentials,
    lying: {
      ...cloud.lying,
      // By the name that it bears now.
      alive: () => cloud.lying.alive().map((one) => ({ ...one, name: displayNames.get(one.id) ?? one.name })),
    },
    heard: server.heard,
    secrets: () => [...secrets.values()].map(({ name }) => name),
    close: server.close,
  };
}

const who = { tenantId: "DE", customerId: "54321" };
const toSecret = (secretId: number, { name, value, at }: { name: string; value: string; at: number }): object => ({
  ...who,
  secretId,
  name,
  type: "ssh",
  value,
  createdAt: new Date(at).toISOString(),
  updatedAt: new Date(at).toISOString(),
});

/** Short, whatever was asked for. */
function page(heard: Heard, all: readonly object[], { of, count }: { readonly of: Shape; readonly count: number }): Reply {
  const at = Number(heard.url.searchParams.get("page") ?? 1);
  const body = {
    data: all.slice((at - 1) * pageMax, at * pageMax),
    _pagination: { size: pageMax, totalElements: count, totalPages: Math.ceil(count / pageMax), page: at },
    _links: heard.url.pathname === "/v1/secrets" ? { self: "" } : { self: "", first: "", previous: "", next: "", last: "" },
  };
  return json(200, shaped(listShape(of), body, heard.url.pathname));
}

const missing = (): Reply => said(404, "Entry not found");
const said = (status: number, message: string): Reply => json(status, { message, statusCode: status });
const json = (status: number, body: object): Reply => ({
  status,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});
