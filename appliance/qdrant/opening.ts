/** A collection that is opened when it is first used. */
import { statusOf, toStoreError } from "./errors.ts";

/** Runs work on what `open` gives. What failed to open, or was lost since, is opened again by the next call. */
export function opened<T>(open: () => Promise<T>): <R>(work: (it: T) => Promise<R>) => Promise<R> {
  let opening: Promise<T> | undefined;
  return async (work) => {
    const mine = (opening ??= open());
    try {
      return await work(await mine);
    } catch (error) {
      const hasOpened = await mine.then(
        () => true,
        () => false,
      );
      if ((statusOf(error) === 404 || !hasOpened) && opening === mine) opening = undefined;
      throw toStoreError(error);
    }
  };
}
