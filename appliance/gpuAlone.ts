/**
 * Accounts at providers without the appliance: nothing of its database or its processes is needed, only the keys in the data folder. For
 * `nika gpu sweep --alone` and `nika gpu panic --alone`, when Nika is down or its database is lost. What runs on this machine itself costs nothing and is left out.
 */
import { ownerTenant } from "../convex/model/tenant.ts";
import { panicAll, type Panicked } from "../functions/machines/panic.ts";
import { sweepAll, type Swept } from "../functions/machines/sweep.ts";
import type { Providers } from "../functions/ports/gpu.ts";
import type { Config } from "./config.ts";
import { installIdIn } from "./gpu/install.ts";
import { kinds } from "./gpu/kinds.ts";
import { openProviders } from "./gpu/providers.ts";
import { openSecrets } from "./secrets/store.ts";

const now = (): number => Date.now();

async function openAlone(config: Config): Promise<Providers> {
  const secrets = await openSecrets({ ...config, tenantId: ownerTenant, now });
  const book = openProviders({ installId: installIdIn(config.dataDir), secrets, now, own: {}, kinds });
  await book.refresh();
  return book;
}

/** Tells, or with `ends` ends, what is past its time by what it carries itself. */
export async function sweepAlone(config: Config, { ends, signal }: { ends: boolean; signal: AbortSignal }): Promise<Swept> {
  return sweepAll(await openAlone(config), { clock: { now }, signal, isDryRun: !ends });
}

/** Ends everything that carries our mark, and says what it could not. */
export async function panicAlone(config: Config, signal: AbortSignal): Promise<Panicked> {
  const wait = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));
  return panicAll(await openAlone(config), { clock: { now }, signal, wait });
}
