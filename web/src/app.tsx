import { type FarmStatus, readFarmStatus, readVersion } from "./api";
import { Banner } from "./components/Banner";
import { Logo } from "./components/Logo";
import { EmptyState, Link, PageTitle, Status } from "./components/parts";
import { useLive } from "./lib/farm";
import { useRoute } from "./lib/navigation";
import { formatRoute, type Route } from "./lib/route";
import { FARM_STATUS } from "./lib/status";
import { DownloadsPage } from "./pages/DownloadsPage";
import { JobPage } from "./pages/JobPage";
import { JobsPage } from "./pages/JobsPage";
import { WorkersPage } from "./pages/WorkersPage";

interface FarmState {
  status: FarmStatus;
  version: string;
}

async function readFarm(signal: AbortSignal): Promise<FarmState> {
  const [status, version] = await Promise.all([readFarmStatus(signal), readVersion(signal)]);
  return { status, version: version.hayloft ?? version.version };
}

export function App() {
  const route = useRoute();
  return (
    <>
      <a class="skip" href="#main">
        Skip to content
      </a>
      <TopBar route={route} />
      <Banner />
      <main id="main">
        <Page route={route} />
      </main>
    </>
  );
}

function TopBar({ route }: { route: Route }) {
  const farm = useLive<FarmState>("farm", ["status"], {
    read: readFarm,
    apply: (value, event) => (event.kind === "status" ? { ...value, status: event.status } : value),
  });
  const inJobs = route.page === "jobs" || route.page === "job";
  return (
    <header class="top">
      <Link class="brand" href={formatRoute({ page: "jobs" })}>
        <Logo />
        Hayloft
      </Link>
      <nav aria-label="Pages">
        <Link href={formatRoute({ page: "jobs" })} current={inJobs ? "page" : undefined}>
          Jobs
        </Link>
        <Link href={formatRoute({ page: "workers" })} current={route.page === "workers" ? "page" : undefined}>
          Workers
        </Link>
        <Link href={formatRoute({ page: "downloads" })} current={route.page === "downloads" ? "page" : undefined}>
          Downloads
        </Link>
      </nav>
      {farm.value !== undefined && (
        <p class="farm">
          <span class="unseen">The farm: </span>
          <Status look={FARM_STATUS[farm.value.status]} />
          <small>{farm.value.version}</small>
        </p>
      )}
    </header>
  );
}

function Page({ route }: { route: Route }) {
  switch (route.page) {
    case "jobs":
      return <JobsPage />;
    case "job":
      return <JobPage key={route.id} route={route} />;
    case "workers":
      return <WorkersPage selected={route.worker} />;
    case "downloads":
      return <DownloadsPage />;
    case "lost":
      return (
        <>
          <PageTitle title="Not found" />
          <EmptyState title="There is nothing at this address">
            <p>
              <Link href={formatRoute({ page: "jobs" })}>See all jobs</Link>
            </p>
          </EmptyState>
        </>
      );
  }
}
