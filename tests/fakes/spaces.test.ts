import { spacesContract } from "../contracts/spaces.ts";
import { fakeMovableVault } from "./spaces.ts";

spacesContract("the fake", async () => fakeMovableVault());
