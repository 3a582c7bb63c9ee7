import { vectorsContract } from "../contracts/vectors.ts";
import { fakeVectors } from "./vectors.ts";

vectorsContract("the fake", async () => fakeVectors());
