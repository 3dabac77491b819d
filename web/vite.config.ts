import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

// The page may talk to its own manager and to nobody else. The development server injects inline styles, so the
// policy is written into the built page only.
const policy = "default-src 'self'; base-uri 'none'; form-action 'none'; object-src 'none'";

function contentSecurityPolicy(): Plugin {
  return {
    name: "content-security-policy",
    apply: "build",
    transformIndexHtml: () => [
      { tag: "meta", attrs: { "http-equiv": "Content-Security-Policy", content: policy }, injectTo: "head-prepend" },
    ],
  };
}

const manager = process.env["HAYLOFT_URL"] ?? "http://127.0.0.1:8080";

export default defineConfig({
  base: "/app/",
  plugins: [contentSecurityPolicy()],
  build: {
    // File names carry a hash of their content, so the manager may let browsers keep them for ever.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
  },
  server: {
    host: "127.0.0.1",
    proxy: { "/api": manager, "/job-files": manager, "/downloads": manager, "/hayloft-addon.zip": manager },
  },
  test: {
    include: ["src/**/*.test.ts"],
    environment: "node",
  },
});
