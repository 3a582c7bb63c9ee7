import { picturesContract } from "../contracts/pictures.ts";
import { fakePictures } from "./pictures.ts";

picturesContract("the fake", async () => fakePictures());
