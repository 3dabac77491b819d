import { render } from "preact";
import { App } from "./app";
import { startFarm } from "./lib/farm";
import "./styles.css";

const root = document.getElementById("app");
if (root === null) throw new Error("index.html has no element #app to draw the page in.");
startFarm();
render(<App />, root);
