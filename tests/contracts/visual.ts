/** What every embedder of pictures promises. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { VisualEmbedder } from "../../functions/ports/visual.ts";
import { drawn } from "../fixtures/makePictures.ts";

const signal = AbortSignal.timeout(60_000);

export function visualContract(name: string, open: (t: TestContext) => Promise<VisualEmbedder>): void {
  test(`${name}: pictures and questions become unit vectors of 1,408 numbers, in order and the same every time`, async (t) => {
    const visual = await open(t);
    const bytes = [await drawn({ type: "bars", seed: 1, size: 200 }), await drawn({ type: "photo", seed: 2, size: 200 })];
    const pictures = bytes.map((one) => ({ bytes: one, words: "the pump" }));

    const [bars, photo] = await visual.images(pictures, signal);
    const [again] = await visual.images(pictures.slice(1), signal);
    const text = await visual.text("the budget", signal);
    const like = await visual.like(pictures[0]!, signal);
    assert.ok(like && like.reduce((sum, value, at) => sum + value * bars![at]!, 0) > 0.9);

    for (const vector of [bars!, photo!, text]) {
      assert.equal(vector.length, visual.dimensions);
      assert.ok(Math.abs(Math.hypot(...vector) - 1) < 1e-4);
    }
    assert.deepEqual(again, photo);
    assert.notDeepEqual(bars, photo);
    assert.ok(visual.id !== "" && visual.label !== "");
  });

  test(`${name}: what is no picture has no vector, and the others have theirs`, async (t) => {
    const visual = await open(t);
    const bytes = await drawn({ type: "pie", seed: 3, size: 200 });
    const broken = { bytes: new Uint8Array([1, 2, 3]), words: "" };

    const vectors = await visual.images([broken, { bytes, words: "" }], signal);

    assert.equal(await visual.like(broken, signal), undefined);
    assert.deepEqual(
      vectors.map((vector) => vector !== undefined),
      [false, true],
    );
  });

  test(`${name}: who gives up is told so`, async (t) => {
    const visual = await open(t);
    const bytes = await drawn({ type: "pie", seed: 3, size: 200 });
    await assert.rejects(visual.images([{ bytes, words: "" }], AbortSignal.abort()), { code: "cancelled" });
    await assert.rejects(visual.text("x", AbortSignal.abort()), { code: "cancelled" });
  });
}
