// The browser's history as the page uses it.

import { useEffect, useState } from "preact/hooks";
import { parseRoute, type Route } from "./route";

const listeners = new Set<() => void>();

function current(): Route {
  return parseRoute(location.pathname, location.search);
}

/** Goes to an address of ours without loading the page again. */
export function navigate(address: string, how: "push" | "replace" = "push"): void {
  if (how === "push") history.pushState(null, "", address);
  else history.replaceState(null, "", address);
  for (const listener of [...listeners]) listener();
}

/** Follows a click on a link of ours, unless it asks for a new tab, a download or the like. */
export function followLink(event: MouseEvent): void {
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  const link = event.currentTarget;
  if (!plain || event.defaultPrevented || !(link instanceof HTMLAnchorElement)) return;
  event.preventDefault();
  navigate(link.pathname + link.search);
}

/** Where the page is; changes with links and with the browser's back and forward. */
export function useRoute(): Route {
  const [route, setRoute] = useState(current);
  useEffect(() => {
    const update = () => setRoute(current());
    listeners.add(update);
    addEventListener("popstate", update);
    return () => {
      listeners.delete(update);
      removeEventListener("popstate", update);
    };
  }, []);
  return route;
}
