import { defineSchema } from "convex/server";
import { applianceTables } from "./tables/appliance.ts";
import { bridgeTables } from "./tables/bridge.ts";
import { documentsTables } from "./tables/documents.ts";
import { functionsTables } from "./tables/functions.ts";
import { jobsTables } from "./tables/jobs.ts";
import { machinesTables } from "./tables/machines.ts";
import { modelsTables } from "./tables/models.ts";
import { runsTables } from "./tables/runs.ts";
import { schedulesTables } from "./tables/schedules.ts";
import { serversTables } from "./tables/servers.ts";

/** Every table of the control plane. What each is for, who writes it and who deletes from it stands with it in `tables/`. */
export default defineSchema({
  ...documentsTables,
  ...jobsTables,
  ...runsTables,
  ...applianceTables,
  ...schedulesTables,
  ...bridgeTables,
  ...functionsTables,
  ...serversTables,
  ...modelsTables,
  ...machinesTables,
});
