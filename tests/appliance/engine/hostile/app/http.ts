import { httpActionGeneric as httpAction, httpRouter } from "convex/server";
import { misbehave } from "./ways.ts";

const http = httpRouter();
http.route({
  path: "/bad",
  method: "GET",
  handler: httpAction(async (_ctx, request) => {
    const result = await misbehave(new URL(request.url).searchParams.get("way") ?? "");
    return Response.json(result);
  }),
});
export default http;
