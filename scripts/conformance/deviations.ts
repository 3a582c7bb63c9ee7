/** Tests of convex-test that the embedded engine does not pass, each with why. A key is a file, or a file and a test's full name. */
export const deviations: Readonly<Record<string, string>> = {};
