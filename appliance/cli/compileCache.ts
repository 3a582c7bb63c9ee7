/**
 * Keeps compiled code between runs. Loaded before everything else, by the command and by the appliance it starts in the background.
 *
 * The cache lies inside the installation, never in the shared temporary folder, where another user of the machine could leave code for
 * us to run. Where the installation may not be written there is no cache, which costs time and nothing else.
 */
import { enableCompileCache } from "node:module";
import { join } from "node:path";

enableCompileCache(join(import.meta.dirname, "..", "..", "node_modules", ".cache", "nika"));
