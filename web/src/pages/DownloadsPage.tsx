import { type Downloads, readDownloads } from "../api";
import { PageTitle, Pending } from "../components/parts";
import { useLive } from "../lib/farm";
import { formatSize } from "../lib/format";

const SYSTEMS: Record<string, string> = { linux: "Linux", darwin: "macOS", windows: "Windows" };
const PROCESSORS: Record<string, string> = { amd64: "x86-64", arm64: "ARM64" };

/** What artists install: the add-on, and the program for their own computer. */
export function DownloadsPage() {
  const downloads = useLive<Downloads>("downloads", ["status"], { read: readDownloads, apply: (value) => value });
  return (
    <>
      <PageTitle title="Downloads" />
      {downloads.value === undefined ? (
        <Pending error={downloads.error} />
      ) : (
        <>
          {downloads.value.addon !== undefined && <AddOn addon={downloads.value.addon} />}
          <Programs files={downloads.value.files} />
        </>
      )}
    </>
  );
}

function AddOn({ addon }: { addon: NonNullable<Downloads["addon"]> }) {
  return (
    <section aria-labelledby="addon">
      <h2 id="addon">Blender add-on</h2>
      <p>
        <a href={addon.url} download="hayloft-addon.zip">
          hayloft-addon.zip
        </a>{" "}
        ({formatSize(addon.size)}) is for Blender 2.93 and newer. Install it from disk: in Blender 4.2 and newer under{" "}
        <i>Preferences, Get Extensions</i>, in older ones under <i>Preferences, Add-ons</i>. Then type{" "}
        <code>{location.origin}</code> as the manager in its preferences. It fetches the program that it needs by itself.
      </p>
      <p class="note">
        SHA-256 <code>{addon.sha256}</code>
      </p>
    </section>
  );
}

function Programs({ files }: { files: Downloads["files"] }) {
  return (
    <section aria-labelledby="programs">
      <h2 id="programs">The hayloft program</h2>
      <p class="note">
        All checksums, as <code>sha256sum --check</code> reads them: <a href="/downloads/SHA256SUMS">SHA256SUMS</a>
      </p>
      <table>
        <caption class="unseen">Programs by platform</caption>
        <thead>
          <tr>
            <th scope="col">Platform</th>
            <th scope="col">File</th>
            <th scope="col" class="number">
              Size
            </th>
            <th scope="col">SHA-256</th>
          </tr>
        </thead>
        <tbody>
          {files.map((file) => (
            <tr key={file.name}>
              <th scope="row">
                {SYSTEMS[file.os] ?? file.os}, {PROCESSORS[file.arch] ?? file.arch}
              </th>
              <td>
                <a href={file.url} download={file.name}>
                  {file.name}
                </a>
              </td>
              <td class="number">{formatSize(file.size)}</td>
              <td title={file.sha256}>
                <code>{file.sha256.slice(0, 12)}</code>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
