/**
 * Scaleway's own clients, loaded when something is first asked of Scaleway. Their requests leave by our way of asking, so that each is
 * made once, has a time limit and is noted, and an answer that does not come is told apart by whether the question may have arrived.
 */
import { ProviderError } from "../../../functions/ports/gpu.ts";
import type { Failure } from "../../../convex/model/gpu.ts";
import { answered, failureOf, type Answer, type Http, type Question, type Sent } from "../http.ts";
import { scalewayFailure } from "./failures.ts";

export type ScalewayCredentials = { readonly accessKey: string; readonly secretKey: string; readonly projectId: string };
type Clients = Awaited<ReturnType<typeof load>>;
export type Scaleway = {
  readonly instance: Instance;
  readonly block: Block;
  readonly iam: Iam;
  readonly projectId: string;
  readonly now: () => number;
};
type Instance = InstanceType<Clients["Instancev1"]["API"]>;
type Block = InstanceType<Clients["Blockv1"]["API"]>;
type Iam = InstanceType<Clients["Iamv1alpha1"]["API"]>;

/** What a call came to when it is no success, and whether it may have had an effect all the same. */
export type Missed = { readonly failure: Failure; readonly mayHaveArrived: boolean };

async function load() {
  const [{ createAdvancedClient, withHTTPClient, withProfile }, { Instancev1 }, { Blockv1 }, { Iamv1alpha1 }] = await Promise.all(
    [
      import("@scaleway/sdk-client"),
      import("@scaleway/sdk-instance"),
      import("@scaleway/sdk-block"),
      import("@scaleway/sdk-iam"),
    ],
  );
  return { createAdvancedClient, withHTTPClient, withProfile, Instancev1, Blockv1, Iamv1alpha1 };
}
let loaded: Promise<Clients> | undefined;

/** Clients whose requests end with the signal. What they throw is for `missedOf`. */
export async function openScaleway(
  { http, url, credentials }: { readonly http: Http; readonly url: string; readonly credentials: ScalewayCredentials },
  signal: AbortSignal,
): Promise<Scaleway> {
  loaded ??= load();
  const { createAdvancedClient, withHTTPClient, withProfile, Instancev1, Blockv1, Iamv1alpha1 } = await loaded;
  const client = createAdvancedClient(
    withProfile({
      accessKey: credentials.accessKey,
      secretKey: credentials.secretKey,
      defaultProjectId: credentials.projectId,
      apiURL: url,
    }),
    withHTTPClient(async (request) => await send(http, request as Request, signal)),
  );
  const { projectId } = credentials;
  return {
    instance: new Instancev1.API(client),
    block: new Blockv1.API(client),
    iam: new Iamv1alpha1.API(client),
    projectId,
    now: http.now,
  };
}

async function send(http: Http, request: Request, signal: AbortSignal): Promise<Response> {
  const body = await request.text();
  const { method, url } = request;
  const sent = await http.send(
    {
      method: method as Question["method"],
      path: url,
      headers: Object.fromEntries([...request.headers].filter(([name]) => name !== "content-type")),
      ...(body !== "" && { text: { type: request.headers.get("content-type") ?? "application/json", body } }),
    },
    signal,
  );
  if (sent.type === "none" || sent.answer.status >= 300) throw new Unanswered(sent);
  const { status, headers, text } = sent.answer;
  const type = headers.get("content-type");
  const total = headers.get("x-total-count");
  return new Response(status === 204 ? null : text, {
    status,
    headers: { ...(type !== null && { "content-type": type }), ...(total !== null && { "x-total-count": total }) },
  });
}

class Unanswered extends Error {
  readonly sent: Sent;

  constructor(sent: Sent) {
    super("no good answer");
    this.sent = sent;
  }
}

/** What an error of these clients means. One that is not from Scaleway is an answer that they could not read. */
export function missedOf(
  error: unknown,
  { now, hide = [] }: { readonly now: number; readonly hide?: readonly string[] },
): Missed {
  if (!(error instanceof Unanswered))
    return {
      mayHaveArrived: true,
      failure: failureOf("transient", "provider", "Scaleway answered with something that its own client cannot read"),
    };
  const { sent } = error;
  if (sent.type === "none") return sent;
  const failure = failureIn(sent, (answer) => scalewayFailure(answer, hide), now);
  return { failure, mayHaveArrived: sent.answer.status >= 500 || failure.kind === "transient" };
}

function failureIn(sent: Sent, errors: (answer: Answer) => Failure, now: number): Failure {
  try {
    answered(sent, errors, now);
  } catch (error) {
    if (error instanceof ProviderError) return error.failure;
  }
  return failureOf("transient", "provider", "Scaleway gave no reason");
}
