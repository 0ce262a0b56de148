/** Starts the app in the page's one element. */
import { Provider } from "@urql/preact";
import { render } from "preact";
import { App } from "./app/App";
import { onLive } from "./app/connectivity";
import { connect } from "./graph/client";
import "./style.css";

const client = connect(location.origin, sessionStorage, onLive);

render(
  <Provider value={client}>
    <App />
  </Provider>,
  document.getElementById("root") as HTMLElement,
);
