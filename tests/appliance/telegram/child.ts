/** A control plane and its chat in a process of their own, to be killed. Speaks lines of JSON. */
import { createInterface } from "node:readline";
import { openSecrets } from "../../../appliance/secrets/store.ts";
import { openTelegram } from "../../../appliance/telegram/telegram.ts";
import { api, internal } from "../../../convex/_generated/api.js";
import { openEngineLabIn } from "../../convex/engineLab.ts";

const [, , dir = "", apiRoot = ""] = process.argv;
const lab = await openEngineLabIn(dir);
const telegram = await openTelegram({
  state: lab,
  secrets: await openSecrets({ dataDir: dir, tenantKeyFile: undefined, tenantId: "owner", now: () => Date.now() }),
  apiRoot,
  upload: async () => "",
  log: () => {},
  gapMs: 0,
  troubledMs: 50,
});
const say = (value: object): void => void process.stdout.write(`${JSON.stringify(value)}\n`);

const verbs: Record<string, (argument: string) => Promise<object>> = {
  connect: async (token) => telegram.connect(token),
  target: async (name) => ({ name: await lab.owner.mutation(api.bridge.addTarget, { name }) }),
  send: async (text) => lab.mutation(internal.bridge.deliver, { text, from: "claude", target: "homelab" }),
  look: async () => ({
    messages: (await lab.owner.query(api.bridge.messages, {})).map(({ text }) => text).toReversed(),
    posts: (await lab.owner.query(api.telegram.posts, {})).map(({ text, state }) => [text, state]).toReversed(),
  }),
};
say({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  const [verb = "", argument = ""] = JSON.parse(line) as string[];
  say((await verbs[verb]?.(argument)) ?? {});
}
