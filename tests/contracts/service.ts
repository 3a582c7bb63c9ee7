import { test } from "node:test";

export type Service = { start(): Promise<void>; stop(): Promise<void> };

/** What anything that lives long must bear. */
export function serviceContract(name: string, open: () => Promise<Service>): void {
  test(`${name}: stops without having been started, and does not start after that`, async () => {
    const service = await open();
    await service.stop();
    await service.start();
    await service.stop();
  });
  test(`${name}: starting twice and stopping twice is the same as once`, async () => {
    const service = await open();
    await Promise.all([service.start(), service.start()]);
    await service.start();
    await Promise.all([service.stop(), service.stop()]);
    await service.stop();
  });
}
