// What the address bar says, as a value. Pure: reading and writing the browser's history is navigation.ts.

/** Number of tasks on one page of a job's table. */
export const TASKS_PER_PAGE = 100;

export type Route =
  | { page: "jobs" }
  | { page: "job"; id: string; view: "tasks" | "outputs"; task?: string; after: number }
  | { page: "workers"; worker?: string }
  | { page: "downloads" }
  | { page: "lost" };

const ROOT = "/app";
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The route of an address below `/app/`. Whatever is not an address of ours is `lost`, never an error. */
export function parseRoute(pathname: string, search: string): Route {
  const parts = pathname.split("/").filter((part) => part !== "");
  if (parts.shift() !== "app") return { page: "lost" };
  const [section = "jobs", id, ...more] = parts;
  const query = new URLSearchParams(search);
  if (more.length > 0) return { page: "lost" };
  if (section === "jobs" && id === undefined) return { page: "jobs" };
  if (section === "jobs" && id !== undefined && UUID.test(id)) return parseJob(id, query);
  if (section === "workers" && id === undefined) return { page: "workers", ...identified("worker", query) };
  if (section === "downloads" && id === undefined) return { page: "downloads" };
  return { page: "lost" };
}

function parseJob(id: string, query: URLSearchParams): Route {
  const after = Number(query.get("after") ?? "0");
  return {
    page: "job",
    id,
    view: query.get("view") === "outputs" ? "outputs" : "tasks",
    after: Number.isSafeInteger(after) && after > 0 ? after : 0,
    ...identified("task", query),
  };
}

function identified<K extends string>(name: K, query: URLSearchParams): { [key in K]?: string } {
  const value = query.get(name);
  return value !== null && UUID.test(value) ? ({ [name]: value } as { [key in K]: string }) : {};
}

/** The address of a route; `parseRoute` reads it back to the same route. */
export function formatRoute(route: Exclude<Route, { page: "lost" }>): string {
  const query = new URLSearchParams();
  switch (route.page) {
    case "jobs":
      return `${ROOT}/jobs`;
    case "downloads":
      return `${ROOT}/downloads`;
    case "workers":
      if (route.worker !== undefined) query.set("worker", route.worker);
      return withQuery(`${ROOT}/workers`, query);
    case "job":
      if (route.view === "outputs") query.set("view", route.view);
      if (route.after > 0) query.set("after", String(route.after));
      if (route.task !== undefined) query.set("task", route.task);
      return withQuery(`${ROOT}/jobs/${route.id}`, query);
  }
}

function withQuery(path: string, query: URLSearchParams): string {
  return query.size === 0 ? path : `${path}?${query}`;
}

/** The address of a job's page as it first opens. */
export function jobAddress(id: string): string {
  return formatRoute({ page: "job", id, view: "tasks", after: 0 });
}
