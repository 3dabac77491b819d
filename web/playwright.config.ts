import { defineConfig } from "@playwright/test";

const farm = process.env["HAYLOFT_URL"];
if (farm === undefined || farm === "") {
  throw new Error("HAYLOFT_URL is not set. Start a farm (`hayloft up`) and give its address, such as http://127.0.0.1:8080.");
}

export default defineConfig({
  testDir: "e2e",
  outputDir: "test-results/runs",
  // The tests share one farm and look at its lists, so they run one after the other.
  workers: 1,
  timeout: 60_000,
  expect: { timeout: 15_000 },
  forbidOnly: true,
  reporter: "list",
  use: {
    baseURL: farm,
    viewport: { width: 1360, height: 860 },
    trace: "retain-on-failure",
    launchOptions: {
      executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
});
