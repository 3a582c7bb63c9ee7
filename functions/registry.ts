import { decideBatch } from "./batches/decide.ts";
import { clearDocument } from "./documents/clear.ts";
import { forgetDocument } from "./documents/forget.ts";
import { ingestDocument } from "./documents/ingest.ts";
import { labelDocuments } from "./documents/label.ts";
import { lookAtPictures } from "./documents/look.ts";
import { invokeFunction } from "./functions/invoke.ts";
import { checkJobs } from "./jobs/check.ts";
import { compareModels } from "./models/compare.ts";
import { deployModel } from "./models/deploy.ts";
import { dropModel } from "./models/drop.ts";
import { rollBackModel } from "./models/rollback.ts";
import { trainModel } from "./models/train.ts";
import { tuneModel } from "./models/tune.ts";
import { advanceRuns } from "./runs/advance.ts";
import { planSchedule } from "./schedules/plan.ts";
import { compareMachineBill } from "./machines/bill.ts";
import { createMachine } from "./machines/create.ts";
import { endMachine } from "./machines/end.ts";
import { lookAtMachines } from "./machines/look.ts";
import { placeGpuJob } from "./machines/place.ts";
import { scaleMachines } from "./machines/scale.ts";
import { sweepMachines } from "./machines/sweep.ts";
import { runSchedule } from "./schedules/run.ts";
import { runTasks } from "./schedules/tasks.ts";
import { findDocumentThemes } from "./themes/find.ts";
import { installServer } from "./servers/install.ts";
import { mirrorServers } from "./servers/mirror.ts";
import type { AnyJobFunction } from "./runtime/registry.ts";

/** Everything Nika can do as a job. A plain list: what is not here is not run. */
export const jobFunctions: readonly AnyJobFunction[] = [
  ingestDocument,
  forgetDocument,
  clearDocument,
  labelDocuments,
  lookAtPictures,
  decideBatch,
  planSchedule,
  runSchedule,
  advanceRuns([runTasks], (line) => console.error(line)),
  findDocumentThemes,
  trainModel,
  tuneModel,
  compareModels,
  deployModel,
  rollBackModel,
  dropModel,
  invokeFunction,
  installServer,
  mirrorServers,
  placeGpuJob,
  createMachine,
  endMachine,
  lookAtMachines,
  sweepMachines,
  scaleMachines,
  compareMachineBill,
  checkJobs,
];
