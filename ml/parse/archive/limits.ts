/** Holders in holders in holders. */
export const holderDepthMax = 4;
/** Files in one holder. */
export const holderEntriesMax = 10_000;
/** Bytes of all that one root holds, unpacked. */
export const holderBytesMax = 512 * 1024 * 1024;
