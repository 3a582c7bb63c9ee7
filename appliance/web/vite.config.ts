import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/** Built by `npm run build` into dist/, which the appliance serves at its root. */
export default defineConfig({
  base: "/",
  plugins: [react()],
  build: {
    outDir: "dist",
    emptyOutDir: true,
    // The page's policy lets nothing inline run or style, and data: only for pictures; files of their own need no exception.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
});
