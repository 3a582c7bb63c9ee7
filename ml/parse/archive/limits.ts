/** Files in one holder: beyond this it was made to be a burden. How many of them become documents is for others to say. */
export const holderEntriesMax = 100_000;
/** Bytes of all that one holder holds, unpacked. */
export const holderBytesMax = 512 * 1024 * 1024;
