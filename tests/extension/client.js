/**
 * Asks kube9 as the VS Code extension does. `node client.js KUBECONFIG NAMESPACE`, with JSON on stdin:
 *   {"commands": ["kube9-operator query …"], "together": false}
 * Each command is split on spaces. Prints JSON: {"pod", "answers"}, or {"problem"} where there is nobody to ask.
 */
import { Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { CoreV1Api, Exec, KubeConfig } from "@kubernetes/client-node";

const LABEL = "app.kubernetes.io/name";
const PROGRAM = "kube9-operator";
const CONTAINER = "operator";

const [kubeconfig, namespace] = process.argv.slice(2);
const config = new KubeConfig();
config.loadFromFile(kubeconfig);

/** The name of the first pod with the label that runs and whose container is ready. */
async function findPod() {
  const pods = await config.makeApiClient(CoreV1Api).listNamespacedPod({ namespace });
  const found = pods.items.find(
    (pod) =>
      pod.metadata.labels?.[LABEL] === PROGRAM &&
      pod.status.phase === "Running" &&
      pod.status.containerStatuses?.some((container) => container.name === CONTAINER && container.ready),
  );
  if (!found) {
    throw new Error(`no pod of ${PROGRAM} is ready in ${namespace}`);
  }
  return found.metadata.name;
}

/** What arrives on a stream: its text, made chunk by chunk as the extension does, and its bytes. */
function collector() {
  const collected = { text: "", chunks: [] };
  collected.stream = new Writable({
    highWaterMark: 1024 * 1024,
    write(chunk, _encoding, done) {
      collected.text += chunk.toString();
      collected.chunks.push(chunk);
      done();
    },
  });
  return collected;
}

/** Run a command in the pod. An answer without a status is one whose connection ended early. */
async function ask(pod, command) {
  const begun = performance.now();
  const out = collector();
  const err = collector();
  const status = await new Promise((resolve, reject) => {
    new Exec(config)
      .exec(namespace, pod, CONTAINER, command.split(" "), out.stream, err.stream, null, false, resolve)
      .then((socket) => socket.addEventListener("close", () => resolve(null)))
      .catch((error) => reject(new Error(error.message)));
  });
  return {
    status: status?.status ?? null,
    message: status?.message ?? null,
    exitCode: Number(status?.details?.causes?.find((cause) => cause.reason === "ExitCode")?.message ?? 0),
    stdout: out.text,
    stderr: err.text,
    bytes: Buffer.concat(out.chunks).length,
    chunks: out.chunks.map((chunk) => chunk.length),
    milliseconds: Math.round(performance.now() - begun),
  };
}

async function main() {
  const { commands, together } = JSON.parse(await text(process.stdin));
  const pod = await findPod();
  const answers = [];
  if (together) {
    answers.push(...(await Promise.all(commands.map((command) => ask(pod, command)))));
  } else {
    for (const command of commands) {
      answers.push(await ask(pod, command));
    }
  }
  return { pod, answers };
}

console.log(JSON.stringify(await main().catch((error) => ({ problem: error.message }))));
