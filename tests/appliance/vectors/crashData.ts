export const batchSize = 40;

/** The points of a batch; the same every time. */
export function pointsOf(batch: number, size: number) {
  return Array.from({ length: size }, (_, i) => {
    const id = batch * size + i;
    return {
      id,
      vector: {
        v: Array.from({ length: 64 }, (_, j) => Math.sin(id + j)),
        s: { indices: [batch, 1_000_000 + i], values: [1, 1] },
      },
      payload: { batch, text: "x".repeat(200) },
    };
  });
}
