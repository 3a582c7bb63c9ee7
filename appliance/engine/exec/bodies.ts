/** Bodies on their way between the threads: streams that are handed over, so that neither side holds more than it can use. */
import { limits } from "../codec/limits.ts";

export type Body = ReadableStream<Uint8Array>;

type Watching = {
  /** Each step of reading goes through it: the place for an async context, or for giving up. */
  readonly step: <T>(work: () => Promise<T>) => Promise<T>;
  /** Once, when it was read to its end, failed, or is no longer wanted. */
  readonly onEnd?: () => void;
};

/** The same bytes, read only as fast as the new stream is. Breaks off at the most a body may have. */
export function watchedBody(body: Body, { step, onEnd }: Watching): Body {
  const reader = body.getReader();
  let size = 0;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await step(() => reader.read());
          size += value?.byteLength ?? 0;
          if (size > limits.httpBodyBytesMax) throw new Error(`The body is larger than ${limits.httpBodyBytesMax} bytes.`);
          if (!done) return controller.enqueue(value);
          controller.close();
          onEnd?.();
        } catch (error) {
          onEnd?.();
          void reader.cancel(error).catch(() => {});
          throw error;
        }
      },
      async cancel(reason) {
        try {
          await step(() => reader.cancel(reason));
        } finally {
          onEnd?.();
        }
      },
    },
    { highWaterMark: 0 },
  );
}
