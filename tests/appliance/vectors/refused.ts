import assert from "node:assert/strict";

/** Checks that a call of the real client is refused with this status, and that the text says what the pattern says. */
export async function refused(call: Promise<unknown>, status: number, text: RegExp): Promise<void> {
  const error = (await call.then(
    () => assert.fail("it was not refused"),
    (thrown: unknown) => thrown,
  )) as { status?: number; data?: { status?: { error?: string } } };
  assert.equal(error.status, status, JSON.stringify(error));
  assert.match(error.data?.status?.error ?? "", text);
}
