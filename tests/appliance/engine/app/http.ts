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

export default http;
