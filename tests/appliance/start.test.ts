import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";

/** Prints the packages that a module brings along when it is imported. */
const look = `
  import { registerHooks } from "node:module";
  const packages = new Set();
  registerHooks({
    load(url, context, next) {
      const found = /node_modules[/](?!.*node_modules[/])((?:@[^/]+[/])?[^/]+)/u.exec(url);
      if (found) packages.add(found[1]);
      return next(url, context);
    },
  });
  await import(process.argv[1]);
  console.log(JSON.stringify([...packages]));
  process.exit();
`;

async function packagesOf(file: string): Promise<string[]> {
  const path = new URL(`../../${file}`, import.meta.url).href;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", look, path]);
  return JSON.parse(stdout) as string[];
}

test("the appliance starts without what most starts do not need", async () => {
  const packages = await packagesOf("appliance/main.ts");

  assert.ok(packages.includes("convex"), "it was looked at");
  // Containers, chats, tables, pictures and models: each is loaded by the first who asks for it.
  const later = ["dockerode", "docker-modem", "ssh2", "@grpc/grpc-js", "protobufjs", "grammy", "csv-parse", "systeminformation"];
  // Loaded in any case, but while threads start.
  later.push("zod", "@modelcontextprotocol/server", "@modelcontextprotocol/client");
  const never = ["sharp", "pdfjs-dist", "@napi-rs/canvas", "@huggingface/transformers", "tesseract.js", "postal-mime", "esbuild"];
  for (const name of [...later, ...never]) assert.ok(!packages.includes(name), name);
});

test("what is loaded later is there when it is asked for", async () => {
  const { openDocker } = await import("../../appliance/docker/client.ts");
  const { openBotApi } = await import("../../appliance/telegram/botApi.ts");
  const nobody = "/nonexistent/nika.sock";

  await assert.rejects(openDocker(nobody).getContainer("mill").inspect(), { code: "ENOENT" });
  await assert.rejects(openBotApi("123456789:AbCdefghijklmnopqrstuvwxyz0123456", "http://127.0.0.1:1").me(), {
    code: "unavailable",
  });
});
