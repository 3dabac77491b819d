// The page against a real manager with at least one worker that takes tasks of `echo-sleep-test`.
// The farm's address is in HAYLOFT_URL; the tests submit their own jobs.

import { createHash } from "node:crypto";
import { AxeBuilder } from "@axe-core/playwright";
import { type APIRequestContext, expect, type Page, test as base } from "@playwright/test";

interface SubmittedJob {
  id: string;
  name: string;
}

/** A page that fails its test when it sends a request to another origin or throws. */
const test = base.extend({
  page: async ({ page, baseURL }, use) => {
    const origin = new URL(baseURL ?? "").origin;
    const strangers: string[] = [];
    const errors: string[] = [];
    page.on("request", (request) => {
      if (new URL(request.url()).origin !== origin) strangers.push(request.url());
    });
    page.on("pageerror", (error) => errors.push(error.message));
    await use(page);
    expect(strangers, "requests that left the origin").toEqual([]);
    expect(errors, "errors on the page").toEqual([]);
  },
});

let serial = 0;

async function submit(request: APIRequestContext, seconds: number, repeats: number): Promise<SubmittedJob> {
  const name = `page test ${Date.now()}-${++serial}`;
  const response = await request.post("/api/v3/jobs", {
    data: {
      name,
      type: "echo-sleep-test",
      priority: 50,
      submitter_platform: "linux",
      settings: { message: `message of ${name}`, sleep_duration_seconds: seconds, sleep_repeats: repeats },
    },
  });
  expect(response.ok(), await response.text()).toBe(true);
  const { id } = (await response.json()) as { id: string };
  return { id, name };
}

function rowOf(page: Page, job: SubmittedJob) {
  return page.getByRole("row").filter({ has: page.getByRole("link", { name: job.name, exact: true }) });
}

/** The status beside the name of the job that the page shows. */
function jobStatus(page: Page) {
  return page.locator(".title-line .status");
}

async function expectAccessible(page: Page): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  expect(serious.map(({ id, nodes }) => ({ id, targets: nodes.map((node) => node.target) }))).toEqual([]);
}

function screenshot(page: Page, name: string) {
  return page.screenshot({ path: `test-results/${name}.png` });
}

/** Keeps every value that the job's progress bar shows, from now on. */
async function recordProgress(page: Page, job: SubmittedJob): Promise<() => Promise<number[]>> {
  const bar = page.getByRole("progressbar", { name: `Progress of ${job.name}`, exact: true });
  const values = await bar.evaluateHandle((element) => {
    const seen = [Number(element.ariaValueNow)];
    new MutationObserver(() => seen.push(Number(element.ariaValueNow))).observe(element, {
      attributeFilter: ["aria-valuenow"],
    });
    return seen;
  });
  return () => values.jsonValue();
}

test("the bare address leads to the jobs", async ({ page }) => {
  await page.goto("/");
  await expect(page).toHaveURL(/\/app\/(jobs)?$/);
  await expect(page.getByRole("heading", { level: 1, name: "Jobs" })).toBeVisible();
  await expect(page).toHaveTitle("Jobs · Hayloft");
});

test("the add-on and the programs are there to download, as the page says they are", async ({ page, request }) => {
  await page.goto("/app/jobs");
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Downloads" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Downloads" })).toBeVisible();
  const addon = page.getByRole("region", { name: "Blender add-on" });
  const link = addon.getByRole("link", { name: "hayloft-addon.zip" });
  const zip = await (await request.get((await link.getAttribute("href")) ?? "")).body();
  await expect(addon.locator("code").last()).toHaveText(createHash("sha256").update(zip).digest("hex"));
  const programs = page.getByRole("table", { name: "Programs by platform" });
  const href = await programs.getByRole("link").first().getAttribute("href");
  expect((await request.head(href ?? "")).ok()).toBe(true);
  expect(await (await request.get("/downloads/SHA256SUMS")).text()).toContain(`  ${href?.split("/").at(-1)}\n`);
  await screenshot(page, "downloads");
  await expectAccessible(page);
});

test("a submitted job appears, moves and ends without a reload", async ({ page, request }) => {
  await page.goto("/app/jobs");
  await expect(page.locator("main table, main .empty")).toBeVisible();
  const navigations: string[] = [];
  page.on("framenavigated", (frame) => navigations.push(frame.url()));

  const job = await submit(request, 1, 3);
  const row = rowOf(page, job);
  await expect(row).toBeVisible();
  const progress = await recordProgress(page, job);
  await expect(row.getByText("Completed")).toBeVisible({ timeout: 45_000 });
  await expect(row.getByRole("progressbar")).toHaveAttribute("aria-valuenow", "100");

  const seen = await progress();
  expect(seen, "progress never goes back").toEqual([...seen].sort((a, b) => a - b));
  expect(seen.some((value) => value > 0 && value < 100), `progress moved: ${seen}`).toBe(true);
  expect(navigations).toEqual([]);
  await screenshot(page, "jobs");
  await expectAccessible(page);
});

test("a job shows its tasks and their logs", async ({ page, request }) => {
  const job = await submit(request, 1, 3);
  await page.goto(`/app/jobs/${job.id}`);
  await expect(page.getByRole("heading", { level: 1, name: job.name })).toBeVisible();
  const tasks = page.getByRole("table", { name: "Tasks of this job" });
  await expect(tasks.getByRole("row").nth(1)).toBeVisible();
  await tasks.getByRole("link", { name: /echo/ }).first().click();
  await expect(page.getByRole("region", { name: "Log" })).toContainText(`message of ${job.name}`, { timeout: 30_000 });
  await expect(jobStatus(page)).toHaveText("Completed", { timeout: 45_000 });
  await screenshot(page, "job");
  await expectAccessible(page);

  await page.getByRole("link", { name: "Outputs" }).click();
  await expect(page.getByText("No files yet.")).toBeVisible();
  await page.reload();
  await expect(page.getByText("No files yet.")).toBeVisible();
  await expect(page.getByRole("region", { name: "Log" })).toContainText(`message of ${job.name}`);
});

test("a running job can be canceled, and then requeued or deleted", async ({ page, request }) => {
  const job = await submit(request, 30, 3);
  await page.goto(`/app/jobs/${job.id}`);
  await expect(jobStatus(page)).toHaveText("Active", { timeout: 30_000 });
  await expect(page.getByRole("button", { name: "Delete…" })).toHaveCount(0);
  await page.getByRole("button", { name: "Cancel", exact: true }).click();
  await expect(jobStatus(page)).toHaveText("Canceled");
  await expect(page.getByRole("button", { name: "Cancel", exact: true })).toHaveCount(0);
  await expect(page.getByRole("button", { name: "Requeue", exact: true })).toBeVisible();

  await page.getByRole("button", { name: "Delete…" }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText(job.name);
  await expectAccessible(page);
  await screenshot(page, "delete");
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
  await expect(jobStatus(page)).toHaveText("Canceled");

  await page.getByRole("button", { name: "Delete…" }).click();
  await dialog.getByRole("button", { name: "Delete job" }).click();
  await expect(page.getByRole("heading", { name: `“${job.name}” was deleted` })).toBeVisible();
  await page.getByRole("link", { name: "See all jobs" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Jobs" })).toBeVisible();
  await expect(rowOf(page, job)).toHaveCount(0);
});

test("a job can be paused and resumed", async ({ page, request }) => {
  const job = await submit(request, 1, 8);
  await page.goto(`/app/jobs/${job.id}`);
  await page.getByRole("button", { name: "Pause" }).click();
  await expect(jobStatus(page)).toHaveText("Paused", { timeout: 30_000 });
  await page.getByRole("button", { name: "Resume" }).click();
  await expect(jobStatus(page)).toHaveText("Completed", { timeout: 45_000 });
});

test("the workers show who is awake and what they do", async ({ page }) => {
  await page.goto("/app/workers");
  const awake = page.getByRole("row").filter({ hasText: "Awake" }).first();
  await expect(awake).toBeVisible();
  await awake.getByRole("link").click();
  await expect(page.getByText("Platform")).toBeVisible();
  await screenshot(page, "workers");
  await expectAccessible(page);
});

test("the keyboard is enough", async ({ page, request }) => {
  const job = await submit(request, 1, 1);
  await page.goto("/app/jobs");
  await expect(rowOf(page, job)).toBeVisible();
  await expect(page.getByRole("heading", { level: 1 })).toBeFocused();
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: job.name, exact: true })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1, name: job.name })).toBeFocused();
  await page.goBack();
  await expect(page.getByRole("heading", { level: 1, name: "Jobs" })).toBeFocused();
});

test("a manager that is away is announced, and the page recovers by itself", async ({ page, request }) => {
  const job = await submit(request, 1, 1);
  await page.route("**/api/v3/**", (route) => route.abort());
  await page.goto("/app/jobs");
  await expect(page.getByRole("status").filter({ hasText: "The manager does not answer." })).toBeVisible();
  await expectAccessible(page);
  await screenshot(page, "away");
  await page.unroute("**/api/v3/**");
  await expect(rowOf(page, job)).toBeVisible();
  await expect(page.getByText("The manager does not answer.")).toHaveCount(0);
});

test("an address that leads nowhere says so", async ({ page }) => {
  await page.goto("/app/jobs/00000000-0000-4000-8000-000000000000");
  await expect(page.getByRole("heading", { name: "There is no such job" })).toBeVisible();
  await page.goto("/app/elsewhere");
  await expect(page.getByRole("heading", { level: 1, name: "Not found" })).toBeVisible();
});

test.describe("in the dark", () => {
  test.use({ colorScheme: "dark" });

  test("the page has enough contrast", async ({ page, request }) => {
    const job = await submit(request, 1, 1);
    for (const [address, name] of [
      ["/app/jobs", "jobs-dark"],
      ["/app/workers", "workers-dark"],
      [`/app/jobs/${job.id}`, "job-dark"],
    ] as const) {
      await page.goto(address);
      await expect(page.getByRole("table").first()).toBeVisible();
      await expectAccessible(page);
      await screenshot(page, name);
    }
  });
});
