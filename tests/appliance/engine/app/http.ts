import { httpActionGeneric, httpRouter, makeFunctionReference } from "convex/server";

const later = makeFunctionReference<"mutation", { name: string }, number>("notes:bumpLater");
const http = httpRouter();

http.route({
  path: "/bump",
  method: "POST",
  handler: httpActionGeneric(async (ctx, request) => {
    const name = await request.text();
    const value: unknown = await ctx.runMutation(later, { name });
    return Response.json({ value }, { status: 201, headers: { "x-name": name } });
  }),
});

http.route({
  pathPrefix: "/files/",
  method: "GET",
  handler: httpActionGeneric(async (_ctx, request) => new Response(new URL(request.url).pathname)),
});

http.route({
  path: "/shout",
  method: "POST",
  handler: httpActionGeneric(async (_ctx, request) => {
    const shouting = new TransformStream<Uint8Array, Uint8Array>({
      transform: (bytes, controller) =>
        controller.enqueue(new TextEncoder().encode(new TextDecoder().decode(bytes).toUpperCase())),
    });
    return new Response(request.body?.pipeThrough(shouting) ?? null);
  }),
});

/** Counts as long as somebody reads; says in the database when nobody does any more. */
http.route({
  path: "/count",
  method: "GET",
  handler: httpActionGeneric(async (ctx, request) => {
    const until = Number(new URL(request.url).searchParams.get("until"));
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        const value: unknown = await ctx.runMutation(later, { name: "counted" });
        controller.enqueue(new TextEncoder().encode(`${Number(value)}\n`));
        if (value === until) controller.error(new Error("enough"));
      },
      async cancel() {
        await ctx.runMutation(later, { name: "left" });
      },
    });
    return new Response(body);
  }),
});

const allowed = { "Access-Control-Allow-Origin": "https://page.test", "Access-Control-Allow-Headers": "x-word" };
http.route({
  path: "/shared",
  method: "OPTIONS",
  handler: httpActionGeneric(async () => new Response(null, { status: 204, headers: allowed })),
});
http.route({
  path: "/shared",
  method: "GET",
  handler: httpActionGeneric(async () => new Response(process.env["CONVEX_SITE_URL"] ?? "", { headers: allowed })),
});
http.route({ path: "/unread", method: "POST", handler: httpActionGeneric(async () => new Response("no, thanks")) });

export default http;
