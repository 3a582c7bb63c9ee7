import { refuseOthers, toArray, toObject, toText } from "../body.ts";
import { badFormat } from "../refusal.ts";
import type { Route } from "../route.ts";
import type { AliasAction } from "../store.ts";

export const aliasRoutes: readonly Route[] = [
  { method: "GET", pattern: "/aliases", answer: ({ store }) => ({ aliases: store.aliases() }) },
  { method: "GET", pattern: "/collections/{c}/aliases", answer: ({ store, path }) => ({ aliases: store.aliases(path["c"]) }) },
  {
    method: "POST",
    pattern: "/collections/aliases",
    answer: ({ store, body }) => {
      store.changeAliases(toArray(body["actions"], "actions").map(parseAction));
      return true;
    },
  },
];

function parseAction(value: unknown): AliasAction {
  const action = toObject(value, "actions");
  refuseOthers(action, ["create_alias", "delete_alias", "rename_alias"], "an alias action");
  if (action["create_alias"]) {
    const { alias_name, collection_name } = toObject(action["create_alias"], "create_alias");
    return { type: "create", alias: toText(alias_name, "alias_name"), collection: toText(collection_name, "collection_name") };
  }
  if (action["delete_alias"]) {
    return { type: "delete", alias: toText(toObject(action["delete_alias"], "delete_alias")["alias_name"], "alias_name") };
  }
  if (action["rename_alias"]) {
    const { old_alias_name, new_alias_name } = toObject(action["rename_alias"], "rename_alias");
    return { type: "rename", from: toText(old_alias_name, "old_alias_name"), to: toText(new_alias_name, "new_alias_name") };
  }
  throw badFormat("actions: expected create_alias, delete_alias or rename_alias");
}
