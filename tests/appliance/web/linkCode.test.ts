import assert from "node:assert/strict";
import { test } from "node:test";
import { findLinkCode } from "../../../appliance/web/session/linkCode.ts";

test("a link's code is taken from its fragment, and a screen's name is no code", () => {
  assert.equal(findLinkCode("#link=aB-_9"), "aB-_9");
  assert.equal(findLinkCode("#documents"), undefined);
  assert.equal(findLinkCode("#link="), undefined);
  assert.equal(findLinkCode(""), undefined);
});
