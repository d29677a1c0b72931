/** A sample client: asks kube9 as an extension would, and prints what it was told. `node client.js PROGRAM [WORD…]` */
import { spawnSync } from "node:child_process";
import type { Commands, Error as Refusal, Event, ListEventsRequest, ListEventsResponse, Severity } from "./kube9.js";

const [program = "kube9", ...words] = process.argv.slice(2);

function ask<Name extends Exclude<keyof Commands, "events get">>(
  name: Name,
  request: Commands[Name]["request"],
): Commands[Name]["response"] | Refusal {
  const options = Object.entries(request).map(([field, value]) => `--${field.replace(/_/g, "-")}=${String(value)}`);
  const done = spawnSync(program, [...words, "query", ...name.split(" "), ...options], { encoding: "utf8" });
  return JSON.parse(done.status === 0 ? done.stdout : done.stderr);
}

function line(event: Event): string {
  const place: string = event.object_namespace ?? "the cluster";
  return `${event.severity} in ${place}: ${event.title}`;
}

const bad: Severity[] = ["error", "critical"];
const request: ListEventsRequest = { severity: bad, limit: 3 };
const answer: ListEventsResponse | Refusal = ask("events list", request);
if ("code" in answer) {
  console.log(answer.code, answer.details);
} else {
  answer.events.forEach((event) => console.log(line(event)));
  console.log(`${answer.pagination.returned} of ${answer.pagination.total}`, answer.coverage.complete);
}

const status = ask("status", {});
console.log("health" in status ? status.health : status.error);

const refused = ask("events list", { since: "yore" });
if ("code" in refused && refused.code === "INVALID_ARGUMENT") {
  console.log(refused.error);
}
