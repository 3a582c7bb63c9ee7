import assert from "node:assert/strict";
import { test } from "node:test";
import { looksOf } from "../../../ml/embed/looks.ts";
import { visualDescriptor } from "../../../ml/embed/visual.ts";
import { open } from "../../../ml/parse/picture/pixels.ts";
import { drawn } from "../../fixtures/makePictures.ts";

const descriptor = visualDescriptor();
const near = (a: Float32Array, b: Float32Array): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
const lengthOf = (vector: Float32Array): number => Math.hypot(...vector);

const bars = await drawn({ type: "bars", seed: 1, size: 320 });
const plan = await drawn({ type: "plan", seed: 2, size: 320 });
const photo = await drawn({ type: "photo", seed: 3, size: 320 });

test("a picture and a question are 1,408 numbers of length 1, the same every time", async () => {
  for (const vector of [
    await descriptor.image(bars, "Sales by month"),
    await descriptor.image(bars, ""),
    descriptor.text("sales"),
  ]) {
    assert.equal(vector.length, 1_408);
    assert.ok(Math.abs(lengthOf(vector) - 1) < 1e-5);
  }
  assert.deepEqual(await descriptor.image(plan, "x y"), await descriptor.image(plan, "x y"));
});

test("the same picture made smaller and of poorer quality is nearer than any other", async () => {
  const worse = new Uint8Array(await (await open(bars)).resize({ width: 140 }).jpeg({ quality: 40 }).toBuffer());
  const looks = await looksOf(worse);
  const [same, ...others] = await Promise.all([bars, plan, photo].map(async (one) => near(looks, await looksOf(one))));
  assert.ok(same! > 0.9, `same picture: ${same}`);
  for (const other of others) assert.ok(other < same! - 0.2, `other picture: ${other}`);
});

test("a question is near to a picture by its words, and to none without words", async () => {
  const asked = descriptor.text("monthly sales");
  const said = near(asked, await descriptor.image(bars, "Sales by month"));
  assert.ok(said > near(asked, await descriptor.image(bars, "Plan of the boiler room")) + 0.1);
  assert.equal(near(asked, await descriptor.image(bars, "")), 0);
});

test("a picture asked with is as near to one with words as to one without", async () => {
  const asked = await descriptor.like(bars, "");
  const [bare, said] = [await descriptor.image(bars, ""), await descriptor.image(bars, "Sales by month")];
  assert.ok(Math.abs(near(asked, bare) - near(asked, said)) < 1e-6);
  assert.ok(near(asked, said) > near(asked, await descriptor.image(plan, "")) + 0.1);
});

test("what cannot be decoded fails, and says whose vectors these are", async () => {
  await assert.rejects(descriptor.image(new Uint8Array([1, 2, 3]), "words"));
  assert.match(descriptor.id, /^nika-visual-v1\+nika-baseline-\d+$/);
  assert.match(descriptor.label, /words of the picture and its looks, not its meaning/);
});
